import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { batches, coach, type Dataset, modelInputs, type PreprocessOptions } from '@fewbit/core/engine'
import { type Model, readModel } from '@fewbit/core/ir'
import { describe, expect, it } from 'vitest'
import { nodeEngine } from './node-engine.ts'
import { openDataset } from './open-dataset.ts'

const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../shared/data', import.meta.url))
const engine = nodeEngine()
const IMAGENET = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const CIFAR = 'cifar10/test_lossless322.npz'

const load = (name: string): Model => readModel(new Uint8Array(readFileSync(`${DATA}/models/${name}.onnx`)))

/** Share of the first `limit` samples whose largest output is the label. */
async function accuracy(name: string, spec: string, options: PreprocessOptions, limit: number): Promise<number> {
  const model = load(name)
  const data = await openDataset(`${DATA}/${spec}`, modelInputs(model), { ...options, samples: limit })
  const session = await engine.load({ path: `${DATA}/models/${name}.onnx` })
  let hits = 0
  for await (const batch of batches(data, modelInputs(model), { batchSize: 50 })) {
    const output = Object.values(await session.run(batch.feeds))[0]
    const values = Array.from(output?.numbers() ?? [])
    const classes = values.length / batch.rows
    batch.samples.forEach((sample, i) => {
      const row = values.slice(i * classes, (i + 1) * classes)
      if (row.indexOf(Math.max(...row)) === sample.label) hits++
    })
  }
  await session.release()
  return hits / (data.length ?? limit)
}

describe.skipIf(!existsSync(DATA))('real networks on real data', () => {
  // Baselines measured with other code on these files; equal up to a tie or an image decoder's last bit.
  it.each([
    ['cifar_resnet20', CIFAR, IMAGENET, 322, 0.9472],
    ['cifar_vit_ibp_3_3_8', CIFAR, { preset: 'cifar10' }, 322, 0.8602],
    ['mnist_cnn', 'mnist/test.npz', { preset: 'raw' }, 10000, 0.9891],
    ['kws_honk_res8', 'speech_commands/mfcc.npz', {}, 360, 0.8889],
    ['imagenet_squeezenet11', 'imagenet256', { preset: 'imagenet-caffe' }, 500, 0.598],
  ] as const)('%s on %s reaches its known accuracy', async (name, spec, options, limit, expected) => {
    expect(await accuracy(name, spec, options as PreprocessOptions, limit)).toBeCloseTo(expected, 2)
  })

  it('opens BMP folders of mixed sizes, flat folders, tokens and archives', async () => {
    const shapes = async (model: string, spec: string): Promise<Set<string>> => {
      const inputs = modelInputs(load(model))
      const found = new Set<string>()
      const data = await openDataset(`${DATA}/${spec}`, inputs, { samples: 12 })
      for await (const { feeds } of batches(data, inputs))
        found.add(inputs.map((i) => feeds[i.name]?.dims.join('x')).join())
      return found
    }
    expect((await shapes('sr_rfdn_x4', 'set5')).size).toBeGreaterThan(2)
    expect(await shapes('coco_fastestdet', 'coco128/images')).toEqual(new Set(['1x3x352x352']))
    expect(await shapes('vww_mobilenetv1_025_96', 'coco128/images')).toEqual(new Set(['1x96x96x3']))
    expect(await shapes('cifar_resnet20', 'cifar10/test_jpeg5000.tar.gz')).toEqual(new Set(['1x3x32x32']))
    expect(await shapes('llm_stories260k', 'text/oz_tokens_100x257_i64.npy')).toEqual(new Set(['1x256']))
  })
})

describe.skipIf(!existsSync(DATA))('coach on real networks', () => {
  async function warnings(name: string, spec: string, options: PreprocessOptions): Promise<string[]> {
    const model = load(name)
    const data: Dataset = await openDataset(`${DATA}/${spec}`, modelInputs(model), { ...options, samples: 32 })
    return (await coach(model, data, { engine })).diagnostics.list.map((d) => d.code)
  }

  it.each([
    ['cifar_resnet20', CIFAR, IMAGENET],
    ['cifar_resnet20', 'cifar10/calib200.npz', IMAGENET],
    ['cifar_vit_ibp_3_3_8', CIFAR, { preset: 'cifar10' }],
    ['cifar_vit_ibp_3_3_8', 'cifar10/calib200.npz', { preset: 'cifar10' }],
    ['vww_mobilenetv1_025_96', 'coco128/images', { preset: 'unit' }],
    ['imagenet_squeezenet11', 'imagenet256', { preset: 'imagenet-caffe' }],
    ['coco_fastestdet', 'coco128/images', { preset: 'unit', channelOrder: 'bgr' }],
    ['sr_rfdn_x4', 'set5', { preset: 'raw' }],
    ['mnist_cnn', 'mnist/test.npz', { preset: 'raw' }],
    ['kws_honk_res8', 'speech_commands/mfcc.npz', {}],
  ] as const)('says nothing about %s on %s with its own preprocessing', async (name, spec, options) => {
    expect(await warnings(name, spec, options as PreprocessOptions)).toEqual([])
  })

  it.each([
    ['cifar_resnet20', CIFAR, { preset: 'raw' }, 'DATA_RANGE'],
    ['cifar_resnet20', CIFAR, { preset: 'imagenet-caffe' }, 'DATA_RANGE'],
    ['cifar_vit_ibp_3_3_8', CIFAR, { preset: 'raw' }, 'DATA_RANGE'],
    ['cifar_vit_ibp_3_3_8', CIFAR, { preset: 'unit' }, 'DATA_RANGE'],
    ['vww_mobilenetv1_025_96', 'coco128/images', { preset: 'raw' }, 'DATA_RANGE'],
    ['vww_mobilenetv1_025_96', 'coco128/images', IMAGENET, 'DATA_RANGE'],
    ['vww_mobilenetv1_025_96', 'coco128/images', { preset: 'unit', channelOrder: 'bgr' }, 'DATA_CHANNEL_ORDER'],
    ['coco_fastestdet', 'coco128/images', { preset: 'raw' }, 'DATA_RANGE'],
    ['sr_rfdn_x4', 'set5', { preset: 'unit' }, 'DATA_RANGE'],
  ] as const)('warns about %s on %s with %o', async (name, spec, options, code) => {
    expect(await warnings(name, spec, options as PreprocessOptions)).toContain(code)
  })
})
