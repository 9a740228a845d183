import type { Model } from '@fewbit/core/ir'
import {
  FLOAT_BATCH_NORMS,
  type FloatBatchNorm,
  type QatQuantization,
  type TrainOptions,
  type TrainQatOptions,
} from '@fewbit/core/pipeline'
import { type BatchNormName, parseOscillation } from '@fewbit/core/qat'
import { parseLoss, parseOptimizer, parseSchedule } from '@fewbit/core/training'
import { parseAugmentations } from '@fewbit/core/training-data'
import { problem } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import { constrainedBytes } from '../available-memory.ts'
import type { CommandContext } from '../command.ts'
import { openData, sourceOf } from '../data-flags.ts'
import { planOptions } from './quantize-options.ts'
import type { TrainFlags } from './train-flags.ts'

const SEED = 1

/** What `train` and `trainQat` take, from flags. */
export async function trainOptions(cx: CommandContext, model: Model, flags: TrainFlags): Promise<TrainOptions> {
  const { evalData, evalSamples, metric } = flags
  // What is written wrongly is said before anything is read.
  const course = await courseOf(flags)
  const scored = evalData === undefined ? undefined : await openData(evalData, model, flags, cx, evalSamples)
  return {
    ...cx.run,
    ...course,
    data: await openData(flags.data, model, flags, cx, flags.samples),
    ...(scored && { evaluation: { data: scored, ...(metric && { metrics: metric }) } }),
    ...given({ checkpointSteps: flags.checkpointSteps, resume: flags.resume }),
  }
}

/** What decides what a step is, with data of which only a part need be read. */
export const stepOptions = async (cx: CommandContext, flags: TrainFlags): Promise<TrainOptions> => ({
  ...cx.run,
  ...(await courseOf(flags)),
  data: await sourceOf(flags.data, flags, cx, flags.samples),
})

/** How it is trained, without data. */
async function courseOf(flags: TrainFlags): Promise<Partial<TrainOptions>> {
  const { ema, earlyStop, freeze, augment, loss, optimizer, schedule, teacher } = flags
  const { epochs, maxSteps, batch, accumulate, lr, clipNorm } = flags
  return {
    ...given({ epochs, maxSteps, batchSize: batch, accumulate, lr, clipNorm }),
    ...(loss !== undefined && { loss: parseLoss(loss) }),
    ...(optimizer !== undefined && { optimizer: parseOptimizer(optimizer) }),
    ...(schedule !== undefined && { schedule: parseSchedule(schedule) }),
    ...(augment !== undefined && { augment: parseAugmentations(augment) }),
    ...(ema !== undefined && { ema: { decay: ema } }),
    ...(earlyStop !== undefined && { earlyStop: { patience: earlyStop } }),
    ...(freeze && { groups: freeze.map((match) => ({ match, frozen: true })) }),
    ...(teacher !== undefined && { teacher: await loadModel(teacher) }),
    ...(flags.zoo !== undefined && { fromScratch: true }),
    seed: flags.seed ?? SEED,
    maxBytes: constrainedBytes() / 2,
  }
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

const given = <T extends object>(values: T): Given<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>

/** @throws FewbitError QAT_BATCH_NORM for a strategy of the other kind of training. */
export function floatBatchNorm({ batchNorm }: TrainFlags): Pick<TrainOptions, 'batchNorm'> {
  if (batchNorm === undefined) return {}
  if (isFloatBatchNorm(batchNorm)) return { batchNorm }
  throw problem('QAT_BATCH_NORM', `"${batchNorm}" is for training with fake-quantizers`, {
    at: { option: 'batch-norm' },
    fix: `add --qat, or choose one of ${FLOAT_BATCH_NORMS.join(', ')}`,
  })
}

/** Flags that say how a network is quantized. */
const PLANNED = [
  ...['target', 'scheme', 'observer', 'weightObserver', 'perTensor', 'smallLayers', 'dispatch', 'tails', 'edgeBits'],
  ...['floatNodes', 'activations', 'override', 'weightQuantizer', 'calibrationSamples', 'strict'],
] as const

/**
 * How the network is quantized while it trains; undefined where no flag says anything about it.
 * @throws FewbitError QAT_MISSING for such flags without `--qat`.
 */
export function quantizationOf(cx: CommandContext, flags: TrainFlags): QatQuantization | undefined {
  const { qat, qatPreset, weightQuantizer, batchNorm, calibrationSamples: samples, observer } = flags
  if (qat === undefined && qatPreset === undefined) {
    const unused = PLANNED.find((name) => name in flags)
    if (unused !== undefined) throw withoutQat(unused)
    return undefined
  }
  const { engine: _e, signal: _s, onProgress: _p, ops: _o, extensions: _x, ...plan } = planOptions(cx, flags)
  const { seed: _r, algorithms: _a, floatWorst: _f, ...how } = plan
  return {
    ...how,
    ...(qatPreset !== undefined && { preset: qatPreset }),
    ...(typeof qat === 'string' && { fakeQuantizer: qat }),
    ...(weightQuantizer !== undefined && { weightQuantizer }),
    ...(flags.strict && { strict: true }),
    ...(batchNorm !== undefined && { batchNorm: qatBatchNorm(batchNorm) }),
    calibration: given({ samples, observer }),
  }
}

/** What else `trainQat` takes. @throws FewbitError OSCILLATION_UNKNOWN, OSCILLATION_OPTION */
export const qatCourse = ({ oscillation, reestimateBatches }: TrainFlags): QatCourse => ({
  ...(oscillation !== undefined && { oscillation: parseOscillation(oscillation) }),
  ...(reestimateBatches !== undefined && { reestimateBatches }),
})

/** @throws FewbitError QAT_MISSING for what means something with fake-quantizers only. */
export function refuseQatCourse(flags: TrainFlags): void {
  const unused = ['oscillation', 'reestimateBatches'].find((name) => name in flags)
  if (unused !== undefined) throw withoutQat(unused)
}

type QatCourse = Pick<TrainQatOptions, 'oscillation' | 'reestimateBatches'>

const QAT_BATCH_NORM_FIX: Record<FloatBatchNorm, string> = {
  batch: 'leave it out',
  fixed: 'choose freeze',
  restore: 'put it back in a float run first: fewbit train model.onnx --batch-norm restore …',
}

const isFloatBatchNorm = (name: string): name is FloatBatchNorm =>
  FLOAT_BATCH_NORMS.some((strategy) => strategy === name)

function qatBatchNorm(name: string): BatchNormName {
  if (!isFloatBatchNorm(name)) return name as BatchNormName
  throw problem('QAT_BATCH_NORM', `"${name}" is for training without fake-quantizers`, {
    at: { option: 'batch-norm' },
    fix: QAT_BATCH_NORM_FIX[name],
  })
}

function withoutQat(flag: string): Error {
  const name = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return problem('QAT_MISSING', `--${name} is about quantization, and float training does not quantize`, {
    at: { option: name },
    fix: 'add --qat, or quantize the trained network afterwards with fewbit quantize',
  })
}
