import { conv } from './conv.ts'
import { binary } from './elementwise.ts'
import { concat } from './joins.ts'
import type { BuildLayer } from './layer.ts'
import { mean } from './means.ts'
import { MOVES } from './moves.ts'
import { pad } from './pads.ts'
import { averagePool, globalMaxPool, maxPool } from './pools.ts'
import { prelu } from './prelu.ts'
import { gemm, matmul } from './products.ts'
import { resize } from './resize.ts'
import { softmax } from './softmax.ts'
import { split } from './split.ts'
import { unary } from './tables.ts'

export type { BuildLayer, Built, Operand, Result, RunLayer, Site, SumFacts } from './layer.ts'
export { unary } from './tables.ts'

/** How each operator runs in whole numbers. What is missing and a function of one real number is a table (`unary`). */
export const LAYERS: Readonly<Record<string, BuildLayer>> = {
  Conv: conv,
  ConvTranspose: conv,
  Gemm: gemm,
  MatMul: matmul,
  Add: binary,
  Sub: binary,
  Mul: binary,
  MaxPool: maxPool,
  GlobalMaxPool: globalMaxPool,
  AveragePool: averagePool,
  GlobalAveragePool: mean,
  ReduceMean: mean,
  Concat: concat,
  Split: split,
  Resize: resize,
  Upsample: resize,
  Softmax: softmax,
  ...MOVES,
  Pad: pad,
  Relu: unary,
  Clip: unary,
  PRelu: prelu,
}
