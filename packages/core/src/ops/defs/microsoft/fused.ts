import type { Shape } from '../../../ir/index.ts'
import { float, floats, int, optional, string } from '../../attrs.ts'
import { defineOp, type InferContext } from '../../define-op.ts'
import { convShape, groupedConvAttrs } from '../../shared/conv-shape.ts'
import { filterSize, macsPerOutput, matmulShape } from '../../shared/products.ts'
import { likeInput, shapeOfRank, typed } from '../../shared/rules.ts'

/** What ONNX Runtime's optimizer makes of float subgraphs. */
const common = { domain: 'com.microsoft', since: [1], outputs: ['Y'] } as const

export const FusedConv = defineOp({
  ...common,
  type: 'FusedConv',
  inputs: ['X', 'W', 'B?', 'Z?'],
  attrs: { ...groupedConvAttrs, activation: optional(string()), activation_params: floats([]) },
  infer: (cx) => [typed(cx, convShape(cx))],
  macs: (cx, [y]) => macsPerOutput(y, filterSize(cx.input(1)?.shape)),
  quant: { roles: ['activation', 'weight', 'bias', 'activation'], traits: ['accumulates'] },
  weightChannelAxis: () => 0,
})

export const FusedGemm = defineOp({
  ...common,
  type: 'FusedGemm',
  inputs: ['A', 'B', 'C?'],
  attrs: {
    activation: optional(string()),
    activation_alpha: optional(float()),
    activation_beta: optional(float()),
    activation_gamma: optional(float()),
    alpha: float(1),
    beta: float(1),
    transA: int(0),
    transB: int(0),
  },
  infer(cx) {
    const rows = shapeOfRank(cx, 0, 2)?.[cx.attrs.transA ? 1 : 0] ?? null
    return [typed(cx, [rows, shapeOfRank(cx, 1, 2)?.[cx.attrs.transB ? 0 : 1] ?? null])]
  },
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.[cx.attrs.transA ? 0 : 1]),
  quant: { roles: ['activation', 'weight', 'bias'], traits: ['accumulates'] },
  weightChannelAxis: ({ transB }) => (transB ? 0 : 1),
})

const matmulAttrs = { alpha: float(1), transA: int(0), transB: int(0), transBatchA: int(0), transBatchB: int(0) }

export const FusedMatMul = defineOp({
  ...common,
  type: 'FusedMatMul',
  inputs: ['A', 'B'],
  attrs: matmulAttrs,
  infer(cx) {
    const { transA, transB, transBatchA, transBatchB } = cx.attrs
    const a = oriented(cx, 0, transBatchA, transA)
    return [typed(cx, matmulShape(cx, a, oriented(cx, 1, transBatchB, transB)))]
  },
  macs: (cx, [y]) => macsPerOutput(y, oriented(cx, 0, cx.attrs.transBatchA, cx.attrs.transA)?.at(-1)),
  quant: { roles: ['activation', 'weight'], traits: ['accumulates'] },
  weightChannelAxis: ({ transB }, rank) => (transB ? rank - 2 : rank - 1),
})

/** `transBatch` moves axis 0 to the second-to-last place, before `trans` swaps the last two. */
function oriented(cx: InferContext, i: number, transBatch: number, trans: number): Shape | undefined {
  const shape = cx.input(i)?.shape
  if (!shape || shape.length < 2) return shape
  const moved = transBatch && shape.length > 2 ? [...shape.slice(1, -1), shape[0] ?? null, shape.at(-1) ?? null] : shape
  return trans ? [...moved.slice(0, -2), moved.at(-1) ?? null, moved.at(-2) ?? null] : moved
}

export const Gelu = defineOp({
  ...common,
  type: 'Gelu',
  inputs: ['X'],
  infer: likeInput,
  quant: { roles: ['activation'], traits: ['elementwise'] },
})

export const QuickGelu = defineOp({
  ...common,
  type: 'QuickGelu',
  inputs: ['X'],
  attrs: { alpha: float(1.702) },
  infer: (cx) => likeInput(cx),
  quant: { roles: ['activation'], traits: ['elementwise'] },
})

export const FastGelu = defineOp({
  ...common,
  type: 'FastGelu',
  inputs: ['X', 'bias?'],
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'], traits: ['elementwise'] },
})

export const BiasGelu = defineOp({
  ...common,
  type: 'BiasGelu',
  inputs: ['A', 'B'],
  outputs: ['C'],
  infer: likeInput,
  quant: { roles: ['activation', 'parameter'], traits: ['elementwise'] },
})

export const BiasSoftmax = defineOp({
  ...common,
  type: 'BiasSoftmax',
  inputs: ['data', 'bias'],
  outputs: ['output'],
  attrs: { axis: int(1), is_inner_broadcast: int() },
  infer: (cx) => likeInput(cx),
  quant: { roles: ['activation', 'parameter'], traits: ['non-negative'], fixedRange: [0, 1] },
})
