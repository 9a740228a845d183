import type { Shape } from '../../ir/index.ts'
import { ints, optional } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { transposeGrad } from '../grads/layout.ts'
import { openShape } from '../shared/dims.ts'
import { transposeFlat } from '../shared/flat-elements.ts'
import { typed } from '../shared/rules.ts'

export const Transpose = defineOp({
  type: 'Transpose',
  since: [1, 13, 21, 23, 24, 25],
  inputs: ['data'],
  outputs: ['transposed'],
  attrs: { perm: optional(ints()) },
  infer: (cx) => [typed(cx, permute(cx, cx.attrs.perm))],
  elements(cx) {
    const shape = cx.input(0)?.shape
    return transposeFlat(cx.flatElements(0), shape, cx.attrs.perm ?? reversed(shape?.length ?? 0))
  },
  grad: transposeGrad,
  quant: { roles: ['activation'], traits: ['scale-preserving'] },
})

const reversed = (rank: number): number[] => Array.from({ length: rank }, (_, i) => rank - 1 - i)

function permute(cx: InferContext, perm: readonly number[] | undefined): Shape | undefined {
  const shape = cx.input(0)?.shape
  if (!shape) return perm && openShape(perm.length)
  const order = perm ?? reversed(shape.length)
  const legal = order.length === shape.length && new Set(order).size === order.length
  if (!legal || order.some((i) => i < 0 || i >= shape.length)) {
    cx.mismatch(`perm [${order.join(', ')}] does not fit rank ${shape.length}`)
  }
  return order.map((i) => shape[i] ?? null)
}
