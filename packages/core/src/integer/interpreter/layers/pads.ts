import type { Node, Value } from '../../../ir/index.ts'
import { stringAttribute } from '../../../passes/index.ts'
import { codesOf } from '../../quantizers.ts'
import type { CodeTensor } from '../codes.ts'
import type { Grid } from '../scheme.ts'
import type { BuildLayer } from './layer.ts'
import { COMPUTED, from0, list, pickedAlong } from './places.ts'
import { dataOf } from './pools.ts'

/** Index in an axis of `size` for the index `i` beyond its ends; negative for what is filled. */
const MODES: Readonly<Record<string, (i: number, size: number) => number>> = {
  constant: (i, size) => (i < 0 || i >= size ? -1 : i),
  edge: (i, size) => Math.max(0, Math.min(size - 1, i)),
  reflect(i, size) {
    const period = Math.max(1, 2 * (size - 1))
    const at = ((i % period) + period) % period
    return at < size ? at : period - at
  },
  wrap: (i, size) => ((i % size) + size) % size,
}

/** Pad: what is around the data is a code of the constant, which is zero mostly, or data again. Negative paddings cut. */
export const pad: BuildLayer = ({ node, operands }) => {
  const data = dataOf(operands[0])
  if (!data) return 'its data are not codes'
  const pads = list(node, 'pads', 1)
  const axes = list(node, 'axes', 3)
  if (!pads || (node.inputs[3] && !axes)) return COMPUTED
  const mode = stringAttribute(node, 'mode', 'constant')
  const place = MODES[mode]
  if (!place) return `nothing pads by "${mode}" in integers`
  const fill = mode === 'constant' ? fillCode(node, data.grid) : 0
  if (typeof fill === 'string') return fill
  return { reads: [0], makes: 'input', run: ([x]) => padded(x as CodeTensor, { pads, axes, place, fill }) }
}

interface Padding {
  readonly pads: readonly number[]
  readonly axes: readonly number[] | undefined
  readonly place: (i: number, size: number) => number
  readonly fill: number
}

function padded(x: CodeTensor, { pads, axes, place, fill }: Padding): CodeTensor {
  const count = pads.length / 2
  const sources = x.dims.map((size, axis) => {
    const at = axes ? axes.findIndex((a) => from0(a, x.dims.length) === axis) : axis
    const [begin, end] = at < 0 ? [0, 0] : [pads[at] as number, pads[at + count] as number]
    return Int32Array.from({ length: size + begin + end }, (_, i) => place(i - begin, size))
  })
  return pickedAlong(x, sources, fill)
}

/** The code of what is filled in, or the reason why there is none. */
function fillCode(node: Node, { scale, zeroPoint, min, max }: Grid): number | string {
  const [, , value] = node.inputs
  const real = value ? constantOf(value) : 0
  if (real === undefined) return COMPUTED
  const code = real / scale + zeroPoint
  return Number.isInteger(code) && code >= min && code <= max ? code : 'what it fills in is not a code of its input'
}

/** A constant number, of codes perhaps. */
function constantOf(value: Value): number | undefined {
  const found = codesOf(value)
  const code = found?.codes.constant?.numbers()[0]
  if (!found || code === undefined) return value.constant?.numbers()[0]
  return (code - (found.zeroPoint[0] ?? 0)) * (found.scale[0] as number)
}
