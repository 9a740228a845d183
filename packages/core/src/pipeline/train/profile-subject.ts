import type { Engine } from '../../engine/index.ts'
import { modelInputs } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import {
  batchSource,
  type OperatorTime,
  type StepBatch,
  stepBatches,
  TrainingRun,
  type TrainingStep,
} from '../../training/index.ts'
import { must } from '../../util/index.ts'
import type { Run } from '../run.ts'
import type { RunData } from './run-data.ts'
import { BATCH, type TrainSettings } from './settings.ts'
import type { TrainOptions } from './train-options.ts'

/**
 * Makes some steps under an engine's own profiler and tells what operators took, dearest first: `profileStep` of `@fewbit/engine-node` for
 * ONNX Runtime.
 * @param batches what one step takes.
 */
export type StepTrace = (
  engine: Engine,
  step: TrainingStep,
  batches: readonly StepBatch[],
  settings: { readonly lr: number },
) => Promise<readonly OperatorTime[]>

/** Where the time of a training step goes. JSON. */
export interface StepProfile {
  /** Samples of one batch. */
  readonly batchSize: number
  /** Batches of a step. */
  readonly accumulate: number
  /** Of a whole step, without the profiler: the median of `runs`. */
  readonly seconds: number
  readonly runs: number
  readonly samplesPerSecond: number
  /** For one batch, forward, backward and update together; dearest first. */
  readonly operators: readonly OperatorTime[]
}

const WARM_UP = 2
const RUNS = 5
/** Weights stay where they are, so that a rate that is too high for the first steps cannot disturb what is measured. */
const STANDING = { lr: 0 } as const

/** So many samples fill the steps of a profile. */
export function profiledSamples(model: Model, { batchSize = BATCH, accumulate = 1 }: ProfileSize): number {
  const fixed = modelInputs(model).map(({ shape }) => shape?.[0])
  return accumulate * Math.max(batchSize, ...fixed.filter((size) => typeof size === 'number'))
}

type ProfileSize = Pick<TrainOptions, 'batchSize' | 'accumulate'>

/** Times a step and traces it, one session alive at a time. Nothing is trained. */
export async function profileSubject(
  step: TrainingStep,
  { data }: RunData,
  { batchSize, seed }: TrainSettings,
  trace: StepTrace,
  run: Run,
): Promise<StepProfile> {
  const { accumulate } = step
  const batches = await firstOf(stepBatches(batchSource(data, batchSize), accumulate, 0))
  const seconds = await run.stage('time step', () => timed(step, batches, seed, run))
  const operators = await run.stage('trace step', () => trace(run.engine, step, batches, STANDING))
  const samplesPerSecond = (batchSize * accumulate) / seconds
  return { batchSize, accumulate, seconds, runs: RUNS, samplesPerSecond, operators }
}

async function timed(step: TrainingStep, batches: readonly StepBatch[], seed: number, run: Run): Promise<number> {
  const training = await TrainingRun.load(run.engine, step, { seed })
  const seconds: number[] = []
  try {
    for (let i = 0; i < WARM_UP + RUNS; i++) {
      run.options.signal?.throwIfAborted()
      const start = performance.now()
      await training.advance(batches, STANDING)
      if (i >= WARM_UP) seconds.push((performance.now() - start) / 1000)
    }
  } finally {
    await training.release()
  }
  return must(seconds.sort((a, b) => a - b)[RUNS >> 1], 'time')
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item
  throw new Error('a source of no batches')
}
