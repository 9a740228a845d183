import type { Model, Tensor } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import {
  batchSource,
  type Evaluation,
  type FitProgress,
  type FitResult,
  fit,
  type Metrics,
  TrainingRun,
} from '../../training/index.ts'
import type { TrainingData } from '../../training-data/index.ts'
import { problem } from '../../util/index.ts'
import { earlierCheckpoint } from '../checkpoint-memory.ts'
import { lookAt } from '../data.ts'
import { score } from '../evaluate.ts'
import { versionsOf } from '../recipe.ts'
import type { Run } from '../run.ts'
import { EpochStages } from './epoch-stages.ts'
import { profileSubject } from './profile-subject.ts'
import type { RunData } from './run-data.ts'
import { scoringOptions } from './scoring-options.ts'
import { higherIsBetter, type TrainSettings } from './settings.ts'
import type { Subject } from './subject.ts'
import { subjectStep } from './subject-step.ts'
import type { EpochRecord, TrainOptions } from './train-options.ts'
import type { TrainRecipe } from './train-recipe.ts'
import type { TrainReport } from './train-report.ts'

const CHECKPOINT_STEPS = 100
/** Spread over all, because data are often sorted by class. */
const LOOKED_AT = 16

export interface TrainedSubject {
  /** Trained state by initializer. */
  readonly state: ReadonlyMap<string, Tensor>
  /** Everything that the last step left, slots of optimizer and constraints included. */
  readonly inner: ReadonlyMap<string, Tensor>
  readonly report: TrainReport
}

/** Trains on data that are read already. */
export async function trainSubject(
  subject: Subject,
  data: RunData,
  settings: TrainSettings,
  options: TrainOptions,
  run: Run,
): Promise<TrainedSubject> {
  const resume = await earlierCheckpoint(options, run)
  const step = await run.stage('write step', () => subjectStep(subject, data.data, settings, options, run))
  const profile = options.profile && (await profileSubject(step, data, settings, options.profile, run))
  const { seed } = settings
  const training = await run.stage('load step', () => TrainingRun.load(run.engine, step, { seed }))
  try {
    const trained = await fitted({ subject, ...data, settings, options, run, training, ...(resume && { resume }) })
    return profile ? { ...trained, report: { ...trained.report, profile } } : trained
  } finally {
    await training.release()
  }
}

interface Fitting extends RunData {
  readonly subject: Subject
  readonly settings: TrainSettings
  readonly options: TrainOptions
  readonly run: Run
  readonly training: TrainingRun
  readonly resume?: Uint8Array
}

async function fitted(parts: Fitting): Promise<TrainedSubject> {
  const { subject, data, settings, options, run, training, resume } = parts
  const { lr, schedule, steps, batchSize, stepsPerEpoch, epochs } = settings
  const { accumulate = 1, teacher, memory, checkpointSteps = CHECKPOINT_STEPS } = options
  const stages = new EpochStages(run, { stepsPerEpoch, epochs, samplesPerStep: batchSize * accumulate })
  const speed = { samplesPerSecond: 0 }
  const batches = batchSource(data, batchSize)
  const own = { ...subject.facts, epochs, ...(teacher && { teacher: structuralHash(teacher) }) }
  const before = await scoresOf(training.state(), parts, 'before training')
  const onStep = (progress: FitProgress) => {
    stages.step(progress)
    speed.samplesPerSecond = progress.samplesPerSecond
  }
  const result = await fit({
    ...{ run: training, batches, steps, lr, schedule, settings: own, onStep, ...run.signal },
    evaluate: evaluation(parts, stages, before),
    ...(memory && { checkpoint: { every: checkpointSteps, save: memory.save, versions: versionsOf(run) } }),
    ...(resume && { resume }),
  })
  stages.end()
  const facts = { ...training.step.settings, lr, schedule, steps, batches, seed: settings.seed, ...own }
  const report = reportOf(result, before, parts)
  const { bestEpoch } = report
  const recipe: TrainRecipe = {
    ...{ format: 'fewbit-training', version: 1, settings: JSON.parse(JSON.stringify(facts)), steps: result.steps },
    ...(bestEpoch !== undefined && { bestEpoch }),
    versions: versionsOf(run),
  }
  return { state: result.state, inner: training.fullState(), report: { ...report, ...speed, recipe } }
}

/** Without evaluation data an epoch's end still makes a record of its loss. */
function evaluation(parts: Fitting, stages: EpochStages, before: Metrics | undefined): Evaluation {
  const { settings, options } = parts
  const { patience } = options.earlyStop ?? {}
  const metric = Object.keys(before ?? {})[0]
  if (patience !== undefined && metric === undefined) throw noScores()
  return {
    every: settings.stepsPerEpoch,
    async measure(state) {
      const about = stages.end()
      return (await scoresOf(state, parts, about)) ?? {}
    },
    ...(patience !== undefined && metric && { patience, best: { metric, higher: higherIsBetter(metric) } }),
  }
}

/** @param about what is scored, for those who watch. */
async function scoresOf(state: ReadonlyMap<string, Tensor>, parts: Fitting, about: string | undefined) {
  const { subject, evaluation, options, run } = parts
  if (!evaluation) return undefined
  const how = { ...scoringOptions(evaluation, options), ...(subject.load && { load: subject.load }) }
  const scoring = { ...run.shared, data: evaluation.asDataset(), ...how }
  const scored = await score(subject.modelWith(state), scoring, run, about)
  return scored.metrics
}

const noScores = (): Error =>
  problem('TRAIN_EARLY_STOP', 'early stopping needs scores to compare', {
    at: { option: 'early-stop' },
    fix: 'name evaluation data, other than those that are trained on, with --eval-data',
  })

function reportOf(
  { history, steps }: FitResult,
  before: Metrics | undefined,
  { settings, options }: Fitting,
): Omit<TrainReport, 'samplesPerSecond' | 'recipe'> {
  const records = history.map(({ step, metrics, ...record }) => ({
    epoch: Math.ceil(step / settings.stepsPerEpoch),
    steps: step,
    ...record,
    ...(Object.keys(metrics).length > 0 && { metrics }),
  }))
  const best = options.earlyStop && bestOf(records)
  const after = (best ?? records.at(-1))?.metrics
  return {
    history: records,
    ...(before && { before }),
    ...(after && { after }),
    ...(best && { bestEpoch: best.epoch }),
    steps,
  }
}

/** The first of the best. */
function bestOf(records: readonly EpochRecord[]): EpochRecord | undefined {
  const metric = Object.keys(records[0]?.metrics ?? {})[0]
  if (metric === undefined) return undefined
  const sign = higherIsBetter(metric) ? 1 : -1
  const value = ({ metrics }: EpochRecord) => sign * (metrics?.[metric] ?? Number.NEGATIVE_INFINITY)
  return records.reduce((best, record) => (value(record) > value(best) ? record : best))
}

/** Warns where data do not look like what the network was trained on; of a network without training, that says nothing. */
export async function lookAtData(
  model: Model,
  data: TrainingData,
  { fromScratch = false }: TrainOptions,
  run: Run,
): Promise<void> {
  const { list } = run.diagnostics
  const known = list.length
  await run.stage('check data', () => lookAt(model, data.asDataset(LOOKED_AT), run))
  if (!fromScratch) return
  const kept = list.slice(known).filter(({ code }) => code !== 'DATA_RANGE' && code !== 'DATA_CHANNEL_ORDER')
  list.splice(known, list.length, ...kept)
}
