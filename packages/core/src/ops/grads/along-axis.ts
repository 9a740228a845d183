import type { Value } from '../../ir/index.ts'
import type { GradContext } from '../gradient.ts'

/** The adjoint of a linear map of one axis: multiplies along it by the transpose of the map's matrix [to, from]. */
export function alongAxis(
  cx: GradContext,
  dy: Value,
  axis: number,
  matrix: Float64Array,
  dims: readonly [to: number, from: number],
): Value {
  const { g } = cx
  const rank = cx.input(0)?.shape?.length ?? 0
  const swap = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i))
  return g.transpose(g.op('MatMul', [g.transpose(dy, swap), g.tensor(dims, matrix)]), swap)
}
