import { attribute, type Value } from '../../ir/index.ts'
import type { int } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { knownElements, normalizeAxis } from '../shared/dims.ts'

type Int = ReturnType<typeof int>

/** One sliced axis: elements first, first + step, …, `count` of them out of `size`, with step > 0; reversed if it was negative. */
interface Stretch {
  readonly axis: number
  readonly first: number
  readonly step: number
  readonly count: number
  readonly size: number
  readonly reversed: boolean
}

/** Puts gradients back where elements were taken from, with zeros between and around. */
export function sliceGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  return [dy && stretches(cx).reduce((part, stretch) => putBack(cx, part, stretch), dy)]
}

function stretches(cx: GradContext): Stretch[] {
  const [x, y] = [cx.input(0)?.shape, cx.output(0)?.shape]
  const starts = knownElements(cx, 1)
  if (!x || !y || !starts) return cx.open('starts and rank')
  const given = (i: number) => (cx.node.inputs[i] ? (knownElements(cx, i) ?? cx.open('axes and steps')) : undefined)
  const axes = given(3) ?? starts.map((_, i) => i)
  const steps = given(4)
  return axes.map((a, i) => {
    const axis = normalizeAxis(cx, a, x.length)
    const [size, count] = [x[axis], y[axis]]
    if (typeof size !== 'number' || typeof count !== 'number') return cx.open(`axis ${axis}`)
    const [start, step] = [starts[i] ?? 0, steps?.[i] ?? 1]
    const last = step > 0 ? size : size - 1
    const first = Math.min(Math.max(start < 0 ? start + size : start, 0), last)
    const stretch = { axis, count, size, step: Math.abs(step) }
    return step > 0
      ? { ...stretch, first, reversed: false }
      : { ...stretch, first: first + (count - 1) * step, reversed: true }
  })
}

function putBack(cx: GradContext, dy: Value, { axis, first, step, count, size, reversed }: Stretch): Value {
  const { g } = cx
  if (step === 1 && first === 0 && count === size && !reversed) return dy
  const list = (n: number) => g.ints([n])
  // The smallest int64 that a number holds stands for "to the very first element".
  const ordered = reversed ? g.op('Slice', [dy, list(-1), list(-Number.MAX_SAFE_INTEGER), list(axis), list(-1)]) : dy
  const spaced = step === 1 ? ordered : spread(cx, ordered, axis, step, count)
  return g.op('Pad', [spaced, g.ints([first, size - first - count * step]), 0, list(axis)])
}

/**
 * Puts step − 1 zeros behind each element of an axis. Elements and zeros are stacked and the stack is turned inward, which engines do in one
 * sweep; Pad copies element by element where few lie behind the axis.
 */
function spread(cx: GradContext, x: Value, axis: number, step: number, count: number): Value {
  const { g } = cx
  const rank = cx.input(0)?.shape?.length ?? 0
  const first = g.op('Unsqueeze', [x, g.ints([0])])
  const stack = g.op('Pad', [first, g.ints([0, step - 1]), 0, g.ints([0])])
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  const inward = g.transpose(stack, [...range(1, axis + 2), 0, ...range(axis + 2, rank + 1)])
  // Zeros in front of `axis` copy sizes; behind it everything is in order, so the shape is read from the pair of axes on.
  return mergeAxes(g, inward, axis, count * step)
}

function mergeAxes(g: GradContext['g'], x: Value, axis: number, size: number): Value {
  const shape = g.op('Shape', [x])
  const part = (from: number, to: number) => g.op('Slice', [shape, g.ints([from]), g.ints([to])])
  const target = [...(axis > 0 ? [part(0, axis)] : []), g.ints([size]), part(axis + 2, Number.MAX_SAFE_INTEGER)]
  return g.op('Reshape', [x, g.op('Concat', target, { axis: attribute.int(0) })])
}

/** Adds each slice to where it was taken from: ScatterND along the first axis, to which `axis` is moved. */
export function gatherGrad(cx: GradContext<{ axis: Int }>): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  const [x, indices] = [cx.input(0)?.shape, cx.input(1)?.shape]
  if (!dy) return []
  if (!x || !indices) return cx.open('the ranks of data and indices')
  const axis = normalizeAxis(cx, cx.attrs.axis, x.length)
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  const [k, rank] = [indices.length, x.length + indices.length - 1]
  const front = [axis, ...range(0, axis), ...range(axis + 1, x.length)]
  const picked = g.transpose(dy, [...range(axis, axis + k), ...range(0, axis), ...range(axis + k, rank)])
  const zeros = g.transpose(g.zerosLike(cx.x(0)), front)
  const where = g.op('Unsqueeze', [cx.x(1), g.ints([-1])])
  const sums = g.op('ScatterND', [zeros, where, picked], { reduction: attribute.string('add') })
  return [
    g.transpose(
      sums,
      x.map((_, i) => front.indexOf(i)),
    ),
  ]
}

export function gatherElementsGrad(cx: GradContext<{ axis: Int }>): Gradients {
  const dy = cx.dy(0)
  if (!dy) return []
  const attrs = { axis: attribute.int(cx.attrs.axis), reduction: attribute.string('add') }
  return [cx.g.op('ScatterElements', [cx.g.zerosLike(cx.x(0)), cx.x(1), dy], attrs)]
}
