import { encodeUtf8 } from '../util/index.ts'
import type { Artifact } from './define.ts'

/** The number of fewest digits that is this one again once it is rounded to float32. */
export function shortFloat32(x: number): number {
  const wanted = Math.fround(x)
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(wanted.toPrecision(digits))
    if (Math.fround(short) === wanted) return short
  }
  return Number(wanted.toPrecision(9))
}

/** Text of a float32 that reads back as the same number, and as a floating-point number where readers tell types apart. */
export function float32Text(x: number): string {
  const text = String(shortFloat32(x))
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

/** A float32 in JSON. Readers such as RapidJSON take `1` for an integer and look for its bits in the wrong place. */
export class Real {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

export const real = (value: number): Real => new Real(value)
export const reals = (values: readonly number[]): Real[] => values.map(real)

type Scalar = string | number | boolean | null | Real
export type Json = Scalar | readonly Json[] | ReadonlyMap<string, Json> | { readonly [key: string]: Json | undefined }

/** Lists of scalars, and objects that fit, stand on one line of at most this width. */
const WIDTH = 100

/**
 * JSON with two spaces of indent, and real numbers that look like such. Tables by tensor name are maps: objects would put names
 * such as `123` first.
 */
export function jsonText(value: Json, indent = ''): string {
  if (value instanceof Real) return float32Text(value.value)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const inner = `${indent}  `
  if (isList(value)) {
    const items = value.map((item) => jsonText(item, inner))
    return value.every(isScalar) ? `[${items.join(', ')}]` : block('[', ']', items, indent)
  }
  const fields: Iterable<[string, Json | undefined]> = value instanceof Map ? value : Object.entries(value)
  const entries = [...fields].flatMap(([key, item]) =>
    item === undefined ? [] : [`${JSON.stringify(key)}: ${jsonText(item, inner)}`],
  )
  const line = `{ ${entries.join(', ')} }`
  const fits = line.length <= WIDTH && !line.includes('\n') && !(value instanceof Map)
  return fits && entries.length > 0 ? line : block('{', '}', entries, indent)
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value)
const isScalar = (value: Json): value is Scalar => value === null || typeof value !== 'object' || value instanceof Real

function block(open: string, close: string, items: readonly string[], indent: string): string {
  if (items.length === 0) return open + close
  return `${open}\n${items.map((item) => `${indent}  ${item}`).join(',\n')}\n${indent}${close}`
}

export const textFile = (name: string, text: string): Artifact => ({ kind: 'file', name, bytes: encodeUtf8(text) })

export const jsonFile = (name: string, value: Json): Artifact => textFile(name, `${jsonText(value)}\n`)
