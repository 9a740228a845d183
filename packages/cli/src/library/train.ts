import {
  type Model,
  profileTrain as profileTrainOn,
  profileTrainQat as profileTrainQatOn,
  type QFloat,
  type TrainedQFloat,
  type TrainOptions,
  type TrainProfile,
  type TrainQatOptions,
  type TrainQatResult,
  type TrainQFloatOptions,
  type TrainResult,
  train as trainOn,
  trainQat as trainQatOn,
  type UncalibratedQFloat,
} from '@fewbit/core'
import { nodeEngine, profileStep } from '@fewbit/engine-node'
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
  profile: true,
  engine: true,
  signal: true,
  onProgress: true,
  ops: true,
  extensions: true,
} satisfies OptionNames<Omit<TrainOptions, 'batchNorm' | 'fromScratch'>>
const TRAIN = { ...COURSE, batchNorm: true, fromScratch: true } satisfies OptionNames<TrainOptions>
const TRAIN_QFLOAT = { ...COURSE, oscillation: true, reestimateBatches: true } satisfies OptionNames<TrainQFloatOptions>
const TRAIN_QAT = { ...TRAIN_QFLOAT, quantization: true } satisfies OptionNames<TrainQatOptions>
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
export function train(model: Model, options: OnNode<TrainOptions>): Promise<TrainResult>
/**
 * Trains a network with fake-quantizers, from `prepareQat` or a file that `readQFloat` has read. `convertQat` takes the result.
 * @throws FewbitError as for float networks.
 */
export function train(qfloat: QFloat | UncalibratedQFloat, options: OnNode<TrainQFloatOptions>): Promise<TrainedQFloat>
export async function train(
  network: Model | QFloat | UncalibratedQFloat,
  options: OnNode<TrainOptions> | OnNode<TrainQFloatOptions>,
): Promise<TrainResult | TrainedQFloat> {
  const isQuantized = 'record' in network || 'quantization' in network
  checkOptions(options, isQuantized ? TRAIN_QFLOAT : TRAIN)
  checkEvaluation(options)
  const onNode = { ...options, engine: options.engine ?? nodeEngine() }
  return isQuantized ? trainOn(network, onNode) : trainOn(network, onNode)
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

/**
 * Where the time of the step goes that `train` would make, by operator. Nothing is trained. `profile` is ONNX Runtime's own trace unless another one
 * is given.
 * @throws FewbitError as `train`.
 */
export async function profileTrain(model: Model, options: OnNode<TrainOptions>): Promise<TrainProfile> {
  checkOptions(options, TRAIN)
  return profileTrainOn(model, { profile: profileStep, ...options, engine: options.engine ?? nodeEngine() })
}

/**
 * The same for the step that `trainQat` would make.
 * @throws FewbitError as `trainQat`.
 */
export async function profileTrainQat(model: Model, options: OnNode<TrainQatOptions>): Promise<TrainProfile> {
  checkOptions(options, TRAIN_QAT)
  return profileTrainQatOn(model, { profile: profileStep, ...options, engine: options.engine ?? nodeEngine() })
}
