import { type Dim, type Shape, tensorType } from '../../ir/index.ts'
import { from, int, ints, until } from '../attrs.ts'
import { defineOp, type InferContext, type OpDef } from '../define-op.ts'
import { reductionGrad } from '../grads/reductions.ts'
import { knownElements, normalizeAxes, normalizeAxis, openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'
import type { Trait } from '../traits.ts'

interface Reduction {
  readonly traits?: readonly Trait[]
  /** Shape arithmetic: the product of a shape is its size. */
  readonly combine?: (elements: readonly number[]) => number
}

const reduceAttrs = (moved: number) => ({
  axes: until(moved, ints([])),
  keepdims: int(1),
  noop_with_empty_axes: from(moved, int(0)),
})
type Context = InferContext<ReturnType<typeof reduceAttrs>>

/** @param moved version in which `axes` became an input. */
function reduce(
  type: string,
  since: readonly number[],
  moved: number,
  { traits = [], combine }: Reduction = {},
): OpDef {
  return defineOp({
    type,
    since,
    inputs: ['data', 'axes?'],
    outputs: ['reduced'],
    before: { [moved]: { inputs: ['data'] } },
    attrs: reduceAttrs(moved),
    infer: (cx) => [typed(cx, reducedShape(cx, moved))],
    elements: combine && ((cx) => reduceElements(cx, moved, combine)),
    grad: reductionGrad(type),
    quant: { roles: ['activation', 'parameter'], traits },
  })
}

/** Axes as written; undefined when they come from an input that is not known. */
function axesOf(cx: Context, moved: number): readonly number[] | undefined {
  if (cx.version < moved) return cx.attrs.axes ?? []
  return cx.node.inputs[1] ? knownElements(cx, 1) : []
}

function reducedShape(cx: Context, moved: number): Shape | undefined {
  const x = cx.input(0)?.shape
  const axes = axesOf(cx, moved)
  if (!x) return undefined
  if (!axes) return cx.attrs.keepdims ? openShape(x.length) : shapeWithout(cx, x)
  if (axes.length === 0 && cx.attrs.noop_with_empty_axes) return x
  const reduced = new Set(axes.length > 0 ? normalizeAxes(cx, axes, x.length) : x.keys())
  return cx.attrs.keepdims ? x.map((d, i) => (reduced.has(i) ? 1 : d)) : x.filter((_, i) => !reduced.has(i))
}

/** Unknown axes, but a known number of them: the rank at least is known. */
function shapeWithout(cx: Context, x: Shape): Shape | undefined {
  const count = cx.input(1)?.shape?.[0]
  return typeof count === 'number' && count > 0 && count <= x.length ? openShape(x.length - count) : undefined
}

function reduceElements(
  cx: Context,
  moved: number,
  combine: (elements: readonly number[]) => number,
): readonly Dim[] | undefined {
  const elements = knownElements(cx, 0)
  const axes = axesOf(cx, moved)
  if (!elements || !axes || cx.input(0)?.shape?.length !== 1) return undefined
  return axes.length === 0 && cx.attrs.noop_with_empty_axes ? elements : [combine(elements)]
}

const sum = (elements: readonly number[]): number => elements.reduce((a, b) => a + b, 0)
const NON_NEGATIVE: Reduction = { traits: ['non-negative'] }

export const REDUCTIONS: readonly OpDef[] = [
  reduce('ReduceSum', [1, 11, 13], 13, { combine: sum }),
  reduce('ReduceMean', [1, 11, 13, 18], 18, { traits: ['averaging'] }),
  reduce('ReduceMax', [1, 11, 12, 13, 18, 20], 18, { traits: ['scale-preserving'], combine: (e) => Math.max(...e) }),
  reduce('ReduceMin', [1, 11, 12, 13, 18, 20], 18, { traits: ['scale-preserving'], combine: (e) => Math.min(...e) }),
  reduce('ReduceProd', [1, 11, 13, 18], 18, { combine: (e) => e.reduce((a, b) => a * b, 1) }),
  reduce('ReduceL1', [1, 11, 13, 18], 18, NON_NEGATIVE),
  reduce('ReduceL2', [1, 11, 13, 18], 18, NON_NEGATIVE),
  reduce('ReduceLogSum', [1, 11, 13, 18], 18),
  reduce('ReduceLogSumExp', [1, 11, 13, 18], 18),
  reduce('ReduceSumSquare', [1, 11, 13, 18], 18, NON_NEGATIVE),
]

const argReduce = (type: string): OpDef =>
  defineOp({
    type,
    since: [1, 11, 12, 13],
    inputs: ['data'],
    outputs: ['reduced'],
    attrs: { axis: int(0), keepdims: int(1), select_last_index: from(12, int(0)) },
    infer(cx) {
      const x = cx.input(0)?.shape
      const axis = x && normalizeAxis(cx, cx.attrs.axis, x.length)
      const kept = cx.attrs.keepdims ? x?.map((d, i) => (i === axis ? 1 : d)) : x?.filter((_, i) => i !== axis)
      return [tensorType('int64', kept)]
    },
    quant: { roles: ['activation'] },
  })

export const ARG_REDUCTIONS: readonly OpDef[] = [argReduce('ArgMax'), argReduce('ArgMin')]
