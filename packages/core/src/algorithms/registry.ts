import { adaround } from './adaround.ts'
import type { Algorithm } from './algorithm.ts'
import { batchnormReestimation } from './batchnorm-reestimation.ts'
import { biasCorrection } from './bias-correction.ts'
import { cle } from './cle.ts'
import { coordinateDescent } from './coordinate-descent.ts'
import { gptq } from './gptq.ts'

/** Algorithms by name: the built-in ones, or those with what plugins add. */
export type Algorithms = Readonly<Record<string, Algorithm>>

/** Within a stage they run in this order, whatever the order in which they are asked for. */
export const ALGORITHMS = {
  cle,
  gptq,
  adaround,
  'coordinate-descent': coordinateDescent,
  'bias-correction': biasCorrection,
  'batchnorm-reestimation': batchnormReestimation,
} satisfies Algorithms

export type AlgorithmName = keyof typeof ALGORITHMS
