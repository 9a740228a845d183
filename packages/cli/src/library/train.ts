import {
  type Model,
  type TrainOptions,
  type TrainQatOptions,
  type TrainQatResult,
  type TrainResult,
  train as trainOn,
  trainQat as trainQatOn,
} from '@fewbit/core'
import { nodeEngine } from '@fewbit/engine-node'
import { checkOptions, type OptionNames } from './options.ts'
import type { OnNode } from './verbs.ts'

const COURSE = {
  data: true,
  evaluation: true,
  epochs: true,
  maxSteps: true,
  batchSize: true,
  accumulate: true,
  lr: true,
  loss: true,
  optimizer: true,
  schedule: true,
  groups: true,
  clipNorm: true,
  ema: true,
  augment: true,
  teacher: true,
  seed: true,
  earlyStop: true,
  memory: true,
  checkpointSteps: true,
  resume: true,
  maxBytes: true,
  engine: true,
  signal: true,
  onProgress: true,
  ops: true,
  extensions: true,
} satisfies OptionNames<Omit<TrainOptions, 'batchNorm' | 'fromScratch'>>
const TRAIN = { ...COURSE, batchNorm: true, fromScratch: true } satisfies OptionNames<TrainOptions>
const TRAIN_QAT = {
  ...COURSE,
  quantization: true,
  oscillation: true,
  reestimateBatches: true,
} satisfies OptionNames<TrainQatOptions>
const EVALUATION = { data: true, samples: true, metrics: true } satisfies OptionNames<
  NonNullable<TrainOptions['evaluation']>
>

function checkEvaluation({ evaluation }: Pick<TrainOptions, 'evaluation'>): void {
  if (evaluation !== undefined) checkOptions(evaluation, EVALUATION, 'evaluation')
}

/**
 * Trains a float network, from wherever its weights stand: random ones of the zoo, or trained ones. The given model is not changed.
 * @throws FewbitError OPTION_UNKNOWN; TRAIN_* where network, data and options do not fit, or the loss is no number any more; DATA_*.
 */
export async function train(model: Model, options: OnNode<TrainOptions>): Promise<TrainResult> {
  checkOptions(options, TRAIN)
  checkEvaluation(options)
  return trainOn(model, { ...options, engine: options.engine ?? nodeEngine() })
}

/**
 * Trains a network with fake-quantizers, and converts it: the quantized network, and the one that was trained. The given model is not changed.
 * @throws FewbitError OPTION_UNKNOWN, what `train`, `prepareQat` and `convertQat` throw.
 */
export async function trainQat(model: Model, options: OnNode<TrainQatOptions>): Promise<TrainQatResult> {
  checkOptions(options, TRAIN_QAT)
  checkEvaluation(options)
  return trainQatOn(model, { ...options, engine: options.engine ?? nodeEngine() })
}
