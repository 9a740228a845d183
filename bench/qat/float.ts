// The float network that bench:qat begins with: ResNet-20 with its BatchNormalization put back, trained on the JPEG pictures for a few hundred steps, so
// that what training with fake-quantizers gains is not what it gains from seeing the pictures at all.
//   npm run bench:qat:float [-- --steps 600 --lr 0.03 --out .cache/qat/resnet20-jpeg.onnx]
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { modelInputs } from '@fewbit/core/engine'
import { restoreNorms, train } from '@fewbit/core/pipeline'
import { cosineDecay, crossEntropy } from '@fewbit/core/training'
import { loadModel, nodeEngine, openDataset, saveModel } from '@fewbit/engine-node'
import { DATA, requireData } from '../lib/shared-data.ts'
import { FLOAT_PATH, NORMALIZED } from './task.ts'

requireData()
const { values: args } = parseArgs({
  options: {
    steps: { type: 'string', default: '600' },
    lr: { type: 'string', default: '0.03' },
    out: { type: 'string', default: FLOAT_PATH },
  },
})
const BATCH = 64
const engine = nodeEngine()
const given = await loadModel(join(DATA, 'models/cifar_resnet20.onnx'))
const open = (file: string, samples: number) =>
  openDataset(join(DATA, 'cifar10', file), modelInputs(given), { ...NORMALIZED, samples })

const { model, layers } = await restoreNorms(given, { engine, data: await open('train_jpeg.tar.gz', 512) })
console.log(`BatchNormalization put back behind ${layers.length} layers`)
const { model: trained, report } = await train(model, {
  engine,
  data: await open('train_jpeg.tar.gz', Number(args.steps) * BATCH),
  evaluation: { data: await open('test_jpeg5000.tar.gz', 1000) },
  ...{ epochs: 1, batchSize: BATCH, lr: Number(args.lr) },
  loss: crossEntropy({ labelSmoothing: 0.1 }),
  schedule: cosineDecay({ warmup: 0.1 }),
  onProgress: ({ stage, done = 0, note }) => {
    if (note && done % 20 === 0) console.log(stage, done, note)
  },
})
console.log('before', report.before, 'after', report.after)
mkdirSync(dirname(args.out), { recursive: true })
await saveModel(trained, args.out)
