import type { Shape, Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'

/**
 * The adjoint of broadcasting: sums a gradient of shape `from` over the axes along which a value of shape `to` was repeated.
 * @throws FewbitError AUTODIFF_SHAPE where open dimensions leave that undecided.
 */
export function unbroadcast(cx: GradContext, dy: Value, from: Shape | undefined, to: Shape | undefined): Value {
  if (!from || !to) return cx.open('which axes were broadcast')
  const lead = from.length - to.length
  const repeated = [...to.keys()].map((i) => i + lead).filter((i) => isRepeated(cx, from, to, i, lead))
  const added = Array.from({ length: lead }, (_, i) => i)
  if (added.length === 0) return cx.g.sum(dy, repeated, true)
  if (repeated.length === 0) return cx.g.sum(dy, added, false)
  return cx.g.op('Squeeze', [cx.g.sum(dy, [...added, ...repeated], true), cx.g.ints(added)])
}

function isRepeated(cx: GradContext, from: Shape, to: Shape, axis: number, lead: number): boolean {
  const [wide, narrow] = [from[axis] ?? null, to[axis - lead] ?? null]
  if (narrow === 1) return wide !== 1
  if (typeof narrow === 'number' || (narrow !== null && narrow === wide)) return false
  return cx.open(`whether axis ${axis} was broadcast`)
}

/** Gradient by input `i`, undone from the output's shape to the input's. */
export const toInput = (cx: GradContext, i: number, dy: Value): Value =>
  unbroadcast(cx, dy, cx.output(0)?.shape, cx.input(i)?.shape)

/** A rule for an operator that broadcasts its inputs: each input's gradient in the output's shape, made only where wanted. */
export function broadcasting(parts: (cx: GradContext, dy: Value) => readonly (() => Value)[]) {
  return (cx: GradContext): Gradients => {
    const dy = cx.dy(0)
    return dy ? parts(cx, dy).map((make, i) => (cx.wanted(i) ? toInput(cx, i, make()) : null)) : []
  }
}
