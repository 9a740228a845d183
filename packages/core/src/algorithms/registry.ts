import { activationEqualization } from './activation-equalization.ts'
import { adaquant } from './adaquant.ts'
import { adaround } from './adaround.ts'
import type { Algorithm } from './algorithm.ts'
import { batchnormReestimation } from './batchnorm-reestimation.ts'
import { biasAbsorption } from './bias-absorption.ts'
import { biasCorrection } from './bias-correction.ts'
import { brecq } from './brecq.ts'
import { channelSplit } from './channel-split.ts'
import { cle } from './cle.ts'
import { coordinateDescent } from './coordinate-descent.ts'
import { gptq } from './gptq.ts'
import { qdrop } from './qdrop.ts'
import { relu6ToRelu } from './relu6-to-relu.ts'
import { scaleFolding } from './scale-folding.ts'
import { scaleSearch } from './scale-search.ts'
import { smoothquant } from './smoothquant.ts'
import { weightSplit } from './weight-split.ts'

/** Algorithms by name: the built-in ones, or those with what plugins add. */
export type Algorithms = Readonly<Record<string, Algorithm>>

/** Within a stage they run in this order, whatever the order in which they are asked for. */
export const ALGORITHMS = {
  'relu6-to-relu': relu6ToRelu,
  cle,
  'bias-absorption': biasAbsorption,
  'activation-equalization': activationEqualization,
  smoothquant,
  'weight-split': weightSplit,
  'channel-split': channelSplit,
  'scale-folding': scaleFolding,
  'scale-search': scaleSearch,
  gptq,
  adaround,
  'coordinate-descent': coordinateDescent,
  adaquant,
  brecq,
  qdrop,
  'bias-correction': biasCorrection,
  'batchnorm-reestimation': batchnormReestimation,
} satisfies Algorithms

export type AlgorithmName = keyof typeof ALGORITHMS
