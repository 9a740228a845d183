import type { Dim, Shape } from '../../ir/index.ts'
import { ints, optional, until } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { sliceGrad } from '../grads/pieces.ts'
import { given } from '../shared/data-rules.ts'
import { knownElements, normalizeAxes, openShape } from '../shared/dims.ts'
import { sliceFlat } from '../shared/flat-elements.ts'
import { typed } from '../shared/rules.ts'

const attrs = { axes: until(10, optional(ints())), ends: until(10, ints()), starts: until(10, ints()) }

export const Slice = defineOp({
  type: 'Slice',
  since: [1, 10, 11, 13],
  inputs: ['data', 'starts', 'ends', 'axes?', 'steps?'],
  outputs: ['output'],
  attrs,
  before: { 10: { inputs: ['data'] } },
  infer: (cx) => [typed(cx, sliceShape(cx))],
  elements: sliceElements,
  grad: sliceGrad,
  quant: {
    roles: ['activation', 'parameter', 'parameter', 'parameter', 'parameter'],
    traits: ['scale-preserving'],
  },
})

interface Bounds {
  readonly axis: number
  readonly start: Dim
  readonly end: Dim
  readonly step: Dim
}

/** One entry per sliced axis, or undefined while the axes themselves are unknown. */
function boundsOf(cx: InferContext<typeof attrs>, rank: number): readonly Bounds[] | undefined {
  const starts = cx.attrs.starts ?? cx.elements(1)
  const ends = cx.attrs.ends ?? cx.elements(2)
  const count = starts?.length ?? ends?.length
  const all = count === undefined ? undefined : Array.from({ length: count }, (_, i) => i)
  const axes = cx.attrs.axes ?? (given(cx, 3) ? knownElements(cx, 3) : all)
  if (!axes) return undefined
  const steps = given(cx, 4) ? cx.elements(4) : axes.map(() => 1)
  return normalizeAxes(cx, axes, rank).map((axis, i) => ({
    axis,
    start: starts?.[i] ?? null,
    end: ends?.[i] ?? null,
    step: steps?.[i] ?? null,
  }))
}

function sliceShape(cx: InferContext<typeof attrs>): Shape | undefined {
  const shape = cx.input(0)?.shape
  if (!shape) return undefined
  const bounds = boundsOf(cx, shape.length)
  if (!bounds) return openShape(shape.length)
  const output = [...shape]
  for (const b of bounds) output[b.axis] = slicedDim(shape[b.axis] ?? null, b)
  return output
}

function slicedDim(size: Dim, { start, end, step }: Bounds): Dim {
  if (typeof size !== 'number') {
    const whole = step === 1 && start === 0 && (end === size || (typeof end === 'number' && end >= 2 ** 31 - 1))
    return whole ? size : null
  }
  if (size === 0) return 0
  return typeof start === 'number' && typeof end === 'number' && typeof step === 'number'
    ? indices(size, start, end, step).length
    : null
}

/** Positions that a slice picks; numpy's clamping rules. */
function indices(size: number, start: number, end: number, step: number): number[] {
  const clamp = (x: number, lo: number, hi: number): number => Math.min(Math.max(x < 0 ? x + size : x, lo), hi)
  const first = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1)
  const last = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1)
  const count = Math.max(0, Math.ceil((last - first) / step))
  return Array.from({ length: count }, (_, i) => first + i * step)
}

function sliceElements(cx: InferContext<typeof attrs>): readonly Dim[] | undefined {
  const shape = cx.input(0)?.shape
  const data = shape && cx.flatElements(0)
  const bounds = data && boundsOf(cx, shape.length)
  if (!bounds) return undefined
  const picks: (readonly number[] | undefined)[] = []
  for (const { axis, start, end, step } of bounds) {
    const size = shape[axis]
    if (typeof size !== 'number' || typeof start !== 'number' || typeof end !== 'number') return undefined
    if (typeof step !== 'number' || step === 0) return undefined
    picks[axis] = indices(size, start, end, step)
  }
  return sliceFlat(data, shape, picks)
}
