import { metricNamed } from '../../analysis/index.ts'
import { modelInputs } from '../../engine/index.ts'
import { asTensor, type Model } from '../../ir/index.ts'
import {
  cosine,
  crossEntropy,
  DECAY_WEIGHTS_ONLY,
  distillation,
  type Loss,
  mse,
  type Optimizer,
  type ParameterGroup,
  type Schedule,
  sgd,
  type Trainable,
  weightedSum,
} from '../../training/index.ts'
import type { TrainingData } from '../../training-data/index.ts'
import { type Diagnostics, problem } from '../../util/index.ts'
import type { TrainOptions } from './train-options.ts'

/** The options with everything that was left open. */
export interface TrainSettings {
  readonly loss: Loss
  readonly optimizer: Optimizer
  readonly schedule: Schedule
  readonly groups: readonly ParameterGroup[]
  readonly lr: number
  readonly seed: number
  readonly batchSize: number
  readonly stepsPerEpoch: number
  /** Steps of the whole run. */
  readonly steps: number
  readonly epochs: number
}

export const BATCH = 128
/** Learning rates of a batch of 128; other batches in proportion (Goyal et al. 2017, arXiv:1706.02677). */
const RATES = { scratch: 0.1, tune: 0.02, quantized: 0.01 } as const
/** Without BatchNormalization on batches, as where it is folded into layers, the loss is that much steeper. */
const UNNORMALIZED = 0.1
const EPOCHS = 10

/**
 * Fills in what the options leave open.
 * @throws FewbitError TRAIN_LABELS, TRAIN_TARGETS where data and loss do not fit; TRAIN_OPTION
 */
export function settingsFor(
  kind: 'tune' | 'quantized',
  { model, trainable }: { readonly model: Model; readonly trainable: Trainable },
  data: TrainingData,
  options: TrainOptions,
  found: Diagnostics,
): TrainSettings {
  const { accumulate = 1, schedule = cosine(), seed = 1 } = options
  const loss = withTeacher(options.loss ?? defaultLoss(data, options), options, found)
  checkAnswers(loss, data)
  checkClasses(model, data)
  const batchSize = data.batchSize(fixedBatch(model, options, found) ?? options.batchSize ?? BATCH)
  const lr = options.lr ?? (rateOf(kind, options, trainable) * batchSize * accumulate) / BATCH
  return {
    loss,
    optimizer: options.optimizer ?? sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-4 }),
    schedule,
    groups: [...(options.groups ?? []), DECAY_WEIGHTS_ONLY],
    lr,
    seed,
    ...lengthOf(data, batchSize, options),
  }
}

function rateOf(kind: 'tune' | 'quantized', { fromScratch }: TrainOptions, { updates }: Trainable): number {
  return RATES[fromScratch ? 'scratch' : kind] * (updates.size > 0 ? 1 : UNNORMALIZED)
}

function lengthOf(data: TrainingData, batchSize: number, options: TrainOptions) {
  const { epochs = EPOCHS, accumulate = 1, maxSteps = Number.POSITIVE_INFINITY } = options
  const batches = data.batchesPerEpoch(batchSize)
  if (batches < accumulate) {
    throw problem('TRAIN_OPTION', `${data.size} samples are fewer than ${accumulate} batches of ${batchSize}`, {
      at: { option: 'accumulate' },
      fix: 'accumulate fewer batches, or take smaller ones',
    })
  }
  const stepsPerEpoch = Math.round(batches / accumulate)
  const steps = Math.min(epochs * stepsPerEpoch, maxSteps)
  return { batchSize, stepsPerEpoch, steps, epochs: Math.ceil(steps / stepsPerEpoch) }
}

/** A network that takes batches of one size only is trained in those. */
function fixedBatch(model: Model, { batchSize }: TrainOptions, found: Diagnostics): number | undefined {
  const sizes = new Set(modelInputs(model).map(({ shape }) => shape?.[0]))
  const [size] = sizes
  if (sizes.size !== 1 || typeof size !== 'number') return undefined
  if (batchSize !== undefined && batchSize !== size) {
    throw problem('TRAIN_BATCH', `the network takes batches of ${size}, not ${batchSize}`, {
      at: { option: 'batch' },
      fix: `leave the batch size out and add up gradients: --accumulate ${Math.max(1, Math.round(batchSize / size))}`,
    })
  }
  found.info('TRAIN_BATCH', `the network takes batches of ${size} only`, {
    fix: 'make its first axis open before training, or add up gradients of several batches with --accumulate',
  })
  return size
}

function defaultLoss(data: TrainingData, { teacher }: TrainOptions): Loss {
  if (teacher) return distillation()
  if (data.classes !== undefined) return crossEntropy()
  if (data.hasTarget) return mse()
  throw problem('TRAIN_LABELS', `"${data.name}" has neither labels nor targets: there is nothing to learn`, {
    fix: 'use class subfolders, labels.csv or an array y; or learn from a teacher: --teacher T.onnx --loss distillation',
  })
}

/** Of the labels, beside the teacher: what they add is little where the teacher is good (Hinton et al. 2015, arXiv:1503.02531, section 2). */
const LABEL_SHARE = 0.3

/** A loss that asks the teacher if there is one. @throws FewbitError TRAIN_TEACHER for a loss of which nobody can say what that would be. */
function withTeacher(loss: Loss, { teacher }: TrainOptions, found: Diagnostics): Loss {
  if (!teacher || loss.needs.includes('teacher')) return loss
  const fix = "say how much each counts: --loss '0.3*cross-entropy + 0.7*distillation:temperature=4'"
  const message = `the loss ${loss.name} does not ask the teacher`
  if (!loss.needs.includes('labels')) throw problem('TRAIN_TEACHER', message, { at: { option: 'loss' }, fix })
  const both = `${LABEL_SHARE}*${loss.name} + ${1 - LABEL_SHARE}*distillation`
  found.info('TRAIN_TEACHER', `${message}, so that distillation is added: ${both}`, { at: { option: 'loss' }, fix })
  return weightedSum([
    { weight: LABEL_SHARE, loss },
    { weight: 1 - LABEL_SHARE, loss: distillation() },
  ])
}

function checkAnswers({ name, needs }: Loss, data: TrainingData): void {
  if (needs.includes('labels') && data.classes === undefined) {
    throw problem(
      'TRAIN_LABELS',
      `the loss ${name} compares with labels, and not all samples of "${data.name}" have one`,
      {
        at: { option: 'loss' },
        fix: 'use class subfolders, labels.csv or an array y',
      },
    )
  }
  if (!needs.includes('targets') || data.hasTarget) return
  throw problem('TRAIN_TARGETS', `the loss ${name} compares with tensors, and "${data.name}" has none`, {
    at: { option: 'loss' },
    fix: 'save what the first output should be as array y of the .npz file',
  })
}

/** @throws FewbitError TRAIN_LABELS for labels that the network has no score for. */
function checkClasses(model: Model, data: TrainingData): void {
  const classes = asTensor(model.graph.outputs[0]?.type)?.shape?.[1]
  if (typeof classes !== 'number' || data.classes === undefined || data.classes <= classes) return
  throw problem('TRAIN_LABELS', `labels go up to ${data.classes - 1}, and the network scores ${classes} classes`, {
    fix: 'number classes from 0, or choose a network with more outputs',
  })
}

/** @throws FewbitError METRIC_UNKNOWN */
export const higherIsBetter = (metric: string): boolean => metricNamed(metric).higherIsBetter
