import type { Dim, Shape } from '../../ir/index.ts'
import { float, int } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { gemmGrad } from '../grads/products.ts'
import { dimsConflict } from '../shared/dims.ts'
import { macsPerOutput } from '../shared/products.ts'
import { shapeOfRank, typed } from '../shared/rules.ts'

export const Gemm = defineOp({
  type: 'Gemm',
  since: [1, 6, 7, 9, 11, 13],
  inputs: ['A', 'B', 'C?'],
  outputs: ['Y'],
  before: { 11: { inputs: ['A', 'B', 'C'] } },
  attrs: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  infer(cx) {
    const [rows, terms] = oriented(shapeOfRank(cx, 0, 2), cx.attrs.transA)
    const [others, columns] = oriented(shapeOfRank(cx, 1, 2), cx.attrs.transB)
    if (dimsConflict(terms, others)) cx.mismatch(`inner dimensions ${terms} and ${others} differ`)
    return [typed(cx, [rows, columns])]
  },
  macs: (cx, [y]) => macsPerOutput(y, oriented(cx.input(0)?.shape, cx.attrs.transA)[1]),
  grad: gemmGrad,
  quant: { roles: ['activation', 'weight', 'bias'], traits: ['accumulates'] },
  weightChannelAxis: ({ transB }) => (transB ? 0 : 1),
})

const oriented = (shape: Shape | undefined, transposed: number): readonly [Dim, Dim] =>
  transposed ? [shape?.[1] ?? null, shape?.[0] ?? null] : [shape?.[0] ?? null, shape?.[1] ?? null]
