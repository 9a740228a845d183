import type { Model } from '../../ir/index.ts'
import type { Ema, Loss, Optimizer, ParameterGroup, Schedule } from '../../training/index.ts'
import type { NamedRequest } from '../../util/index.ts'
import type { CheckpointMemory } from '../checkpoint-memory.ts'
import type { Data } from '../data.ts'
import type { RunOptions } from '../run.ts'
import type { StepTrace } from './profile-subject.ts'

export interface TrainOptions extends RunOptions {
  /** Samples with labels, or with what the loss compares with. They are kept in memory. */
  readonly data: Data
  /** Other data, scored before training and at the end of each epoch. */
  readonly evaluation?: TrainEvaluation
  /** Passes over the data. Default 10. */
  readonly epochs?: number
  /** Ends training after this many steps, whatever the epochs. */
  readonly maxSteps?: number
  /** Samples in a batch; no more than there are. Default 128. */
  readonly batchSize?: number
  /** Batches that make one step. Default 1. */
  readonly accumulate?: number
  /**
   * Highest learning rate. Default: `0.02 · batch / 128`, with 0.1 from scratch and 0.01 with fake-quantizers, and a tenth of it where no
   * BatchNormalization works on batches. Accumulated batches count as one.
   */
  readonly lr?: number
  /** Default: distillation from a teacher; cross-entropy where samples have labels; squared differences where they have targets. */
  readonly loss?: Loss
  /** Default: SGD with Nesterov's momentum 0.9 and weight decay 1e-4. */
  readonly optimizer?: Optimizer
  /** Default: half a cosine. */
  readonly schedule?: Schedule
  /** Parameters that are treated in a way of their own, before the default that only weights decay. */
  readonly groups?: readonly ParameterGroup[]
  readonly clipNorm?: number
  /** Evaluates and gives back moving averages of the parameters. */
  readonly ema?: Ema
  /**
   * What BatchNormalization works on: the statistics of each batch (default), or those that it has. `restore` first puts it back where it was
   * folded into convolutions, as `restoreNorms` does; the result keeps it.
   */
  readonly batchNorm?: FloatBatchNorm
  /** What is done to pictures, another way in each epoch. */
  readonly augment?: readonly NamedRequest[]
  /** Whose outputs the loss may compare with. Same inputs. */
  readonly teacher?: Model
  /** Of order, augmentation and noise. Default 1. */
  readonly seed?: number
  /** Ends training when no epoch of so many was better, and gives back the best. Needs evaluation data. */
  readonly earlyStop?: { readonly patience: number }
  /** Where checkpoints are kept. */
  readonly memory?: CheckpointMemory
  /** Steps between checkpoints; there is one at the end, too. Default 100. */
  readonly checkpointSteps?: number
  /** Goes on from the checkpoint, if there is one. */
  readonly resume?: boolean
  /** The weights are random: what BatchNormalization remembers says nothing about the data. */
  readonly fromScratch?: boolean
  /** Measures a step before the first one, with this. */
  readonly profile?: StepTrace
  /** Memory that samples may take, in bytes. Default 4 GiB. */
  readonly maxBytes?: number
}

export const FLOAT_BATCH_NORMS = ['batch', 'fixed', 'restore'] as const
export type FloatBatchNorm = (typeof FLOAT_BATCH_NORMS)[number]

export interface TrainEvaluation {
  readonly data: Data
  /** At most this many samples. */
  readonly samples?: number
  /** The first one decides what is better. */
  readonly metrics?: readonly string[]
}

/** One epoch, or the part of one that was trained. JSON. */
export interface EpochRecord {
  /** From 1. */
  readonly epoch: number
  /** Steps of the whole run by its end. */
  readonly steps: number
  /** Mean over its steps. */
  readonly loss: number
  /** Share of samples whose label had the highest score while training, 0 to 1; where there are labels. */
  readonly accuracy?: number
  /** Scores on evaluation data, by metric. */
  readonly metrics?: Readonly<Record<string, number>>
}
