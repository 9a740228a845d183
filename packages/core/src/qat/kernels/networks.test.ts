import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { nodeEngine, openDataset } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { modelInputs, type PreprocessOptions } from '../../engine/index.ts'
import { readModel } from '../../ir/index.ts'
import { convertQat, prepareQat } from '../../pipeline/index.ts'
import { must } from '../../util/index.ts'
import { BATCH_NORM_STRATEGIES, type BatchNormName } from '../batch-norm/index.ts'

const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../../shared/data', import.meta.url))
const engine = nodeEngine({ threads: 1 })
const IMAGENET = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const SAMPLES = 16

const NETWORKS: Record<string, { readonly file: string; readonly data: string; readonly how: PreprocessOptions }> = {
  resnet20: { file: 'cifar_resnet20', data: 'cifar10/test_lossless322.npz', how: IMAGENET },
  mnist: { file: 'mnist_cnn', data: 'mnist/test.npz', how: { preset: 'raw' } },
  vww: { file: 'vww_mobilenetv1_025_96', data: 'coco128/images', how: { preset: 'unit' } },
  honk: { file: 'kws_honk_res8', data: 'speech_commands/mfcc.npz', how: {} },
}

/** Shares of elements that are the same in both networks: of the outputs, and of each tensor that is not the same throughout. */
async function compared(network: string, batchNorm: BatchNormName) {
  const { file, data: path, how } = must(NETWORKS[network], network)
  const model = readModel(readFileSync(`${DATA}/models/${file}.onnx`))
  const data = await openDataset(`${DATA}/${path}`, modelInputs(model), { ...how, samples: SAMPLES })
  const calibration = { data, samples: SAMPLES }
  const qfloat = await prepareQat(model, { engine, target: 'onnxruntime', batchNorm, calibration })
  const { conversion } = await convertQat(qfloat, { engine, data, samples: SAMPLES, tensors: true })
  const { outputs, tensors = [] } = must(conversion, 'conversion')
  return { outputs: outputs.map(({ equal }) => equal), others: tensors.filter(({ equal }) => equal < 1) }
}

describe.skipIf(!existsSync(`${DATA}/models`))('published networks with fake-quantizers for ONNX Runtime', () => {
  // Only the MobileNet has BatchNormalization in its file that a backend folds.
  const cases = [
    ...['resnet20', 'mnist', 'honk'].map((network) => [network, 'fold-torch'] as const),
    ...Object.keys(BATCH_NORM_STRATEGIES).map((name) => ['vww', name as BatchNormName] as const),
  ]
  it.each(cases)('make the codes of its kernels: %s, %s', async (network, batchNorm) => {
    const { outputs, others } = await compared(network, batchNorm)
    expect(others).toEqual([])
    expect(outputs).toEqual([1])
  })
})
