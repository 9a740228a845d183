import { conv } from './conv.ts'
import { binary } from './elementwise.ts'
import { concat } from './joins.ts'
import type { BuildLayer } from './layer.ts'
import { mean } from './means.ts'
import { MOVES } from './moves.ts'
import { averagePool, maxPool } from './pools.ts'
import { gemm, matmul } from './products.ts'
import { softmax } from './softmax.ts'
import { unary } from './tables.ts'

export type { BuildLayer, Built, Operand, Result, RunLayer, Site, SumFacts } from './layer.ts'

/** How each operator runs in whole numbers. */
export const LAYERS: Readonly<Record<string, BuildLayer>> = {
  Conv: conv,
  ConvTranspose: conv,
  Gemm: gemm,
  MatMul: matmul,
  Add: binary,
  Sub: binary,
  Mul: binary,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: mean,
  ReduceMean: mean,
  Concat: concat,
  Softmax: softmax,
  ...MOVES,
  Relu: unary,
  Clip: unary,
  LeakyRelu: unary,
  Sigmoid: unary,
  Tanh: unary,
}
