import { viewAs } from '../../util/index.ts'
import type { TfTensor } from '../tflite/graph.ts'

const PER_LINE = 24

/** A C identifier. */
export const identifier = (name: string): string => name.replace(/\W/g, '_').replace(/^(\d)/, '_$1')

/** Text inside a C comment. */
export const comment = (text: string): string => text.replaceAll('*/', '* /').replace(/[\r\n]+/g, ' ')

export function array(type: string, name: string, values: ArrayLike<number>): string {
  const all = Array.from(values)
  const lines: string[] = []
  for (let i = 0; i < all.length; i += PER_LINE) lines.push(`  ${all.slice(i, i + PER_LINE).join(', ')}`)
  return `static ${type} ${name}[${all.length}] = {\n${lines.join(',\n')}\n};`
}

export const number = (name: string, value: number): string => `#define ${name} (${value})`

export function struct(type: string, name: string, fields: Readonly<Record<string, string | number>>): string {
  const text = Object.entries(fields).map(([field, value]) => `.${field} = ${value}`)
  return `static const ${type} ${name} = { ${text.join(', ')} };`
}

/** Height before width in ONNX and TFLite, width before height here; names say which. */
export const tile = ([h, w]: readonly [number, number]): string => `{ .w = ${w}, .h = ${h} }`

/** Four sizes; what is missing in front is 1. */
export function dims(name: string, shape: readonly number[]): string {
  const [n, h, w, c] = [...new Array<number>(Math.max(0, 4 - shape.length)).fill(1), ...shape]
  return struct('cmsis_nn_dims', name, { n: n ?? 1, h: h ?? 1, w: w ?? 1, c: c ?? 1 })
}

/** float32 in the fewest digits that read back as the same number. */
export function float(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === Math.fround(value)) return floatLiteral(text)
  }
  return floatLiteral(value.toPrecision(9))
}

const floatLiteral = (text: string): string => `${/[.e]/.test(text) ? text : `${text}.0`}f`

export const int8Data = ({ data }: TfTensor): Int8Array => viewAs(data ?? new Uint8Array(), Int8Array)
export const int32Data = ({ data }: TfTensor): Int32Array => viewAs((data ?? new Uint8Array()).slice(), Int32Array)
