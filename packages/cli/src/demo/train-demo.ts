import type { Model } from '@fewbit/core/ir'
import {
  type QuantizeResult,
  quantize,
  type RunOptions,
  type TrainQatResult,
  type TrainResult,
  train,
  trainQat,
} from '@fewbit/core/pipeline'
import { withFreshWeights } from './fresh-weights.ts'
import { pictureData } from './picture-data.ts'
import { demoModel, labelled, SAMPLES } from './run-demo.ts'

/** Pictures that are trained on, passes over them in float, passes with fake-quantizers. */
export const TRAINING = { pictures: 8192, epochs: 10, quantizedEpochs: 3, seed: 7 } as const

/** Four bits for weights and activations, eight for the first and the last layer, as papers have it. */
export const FOUR_BITS = { target: 'academic', scheme: 'w4a4' } as const

const BATCH = 64
/** Found by trying 0.05, 0.1 and 0.2 in float. */
const RATE = 0.1

export interface TrainDemoResult {
  /** Trained from random weights. */
  readonly float: TrainResult
  /** The same in four bits without more training. */
  readonly nearest: QuantizeResult
  /** The same in four bits, trained with fake-quantizers. */
  readonly trained: TrainQatResult
  readonly seconds: number
}

export interface TrainDemoOptions extends RunOptions {
  /** For tests: fewer of everything. */
  readonly size?: Partial<Record<'pictures' | 'epochs' | 'quantizedEpochs' | 'test', number>>
}

/**
 * Trains the demo's network from random weights, quantizes it to four bits, and trains it with fake-quantizers.
 * @throws the signal's reason when aborted.
 */
export async function trainDemo({ size = {}, ...run }: TrainDemoOptions): Promise<TrainDemoResult> {
  const start = performance.now()
  const { pictures, epochs, quantizedEpochs, test } = { ...TRAINING, test: SAMPLES.test, ...size }
  const data = pictureData('train', pictures)
  const evaluation = { data: pictureData('test', test), metrics: ['top1'] }
  const shared = { data, evaluation, batchSize: BATCH, seed: TRAINING.seed }
  const untrained: Model = withFreshWeights(await demoModel(), TRAINING.seed)
  const float = await train(untrained, {
    ...labelled(run, 'float'),
    ...shared,
    ...{ epochs, lr: RATE, fromScratch: true },
  })
  const nearest = await quantize(float.model, {
    ...labelled(run, 'w4a4'),
    ...FOUR_BITS,
    ...{ calibration: { data: pictureData('calibrate', SAMPLES.calibrate), samples: SAMPLES.calibrate }, evaluation },
  })
  const trained = await trainQat(float.model, {
    ...labelled(run, 'w4a4, trained'),
    ...shared,
    ...{ epochs: quantizedEpochs, quantization: FOUR_BITS },
  })
  return { float, nearest, trained, seconds: (performance.now() - start) / 1000 }
}
