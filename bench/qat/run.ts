// Quantization-aware training by each method under the rules of each backend: accuracy of the network that was trained, and of the one that is deployed.
//   npm run bench:qat:float  first: the float network
//   npm run bench:qat [-- --scheme w4a4 --algorithms lsq,pact --targets academic,tensorrt --steps 150 --lr 0.004 --model float.onnx]
// Cells are added to bench/results/qat-SCHEME.json, or to the --file given, one by one; those that are there already are not measured again.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Dataset, modelInputs } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { BENCH_ALGORITHMS, BENCH_TARGETS, benchQat, type QatCell } from '@fewbit/core/pipeline'
import { encodeUtf8 } from '@fewbit/core/util'
import { loadModel, nodeEngine, openDataset, writeAtomically } from '@fewbit/engine-node'
import { DATA, requireData } from '../lib/shared-data.ts'
import { FLOAT_PATH, NORMALIZED } from './task.ts'

requireData()
const { values: args } = parseArgs({
  options: {
    model: { type: 'string', default: FLOAT_PATH },
    scheme: { type: 'string', default: 'w4a4' },
    algorithms: { type: 'string', default: BENCH_ALGORITHMS.join() },
    targets: { type: 'string', default: BENCH_TARGETS.join() },
    steps: { type: 'string', default: '300' },
    lr: { type: 'string', default: '0.004' },
    samples: { type: 'string', default: '2000' },
    threads: { type: 'string' },
    file: { type: 'string' },
  },
})
const path = args.file ?? fileURLToPath(new URL(`../results/qat-${args.scheme}.json`, import.meta.url))
const list = (text: string) => text.split(',').filter((word) => word !== '')
const [steps, lr] = [Number(args.steps), Number(args.lr)]
const BATCH = 64

const open = (file: string, model: Model, samples: number): Promise<Dataset> =>
  openDataset(join(DATA, 'cifar10', file), modelInputs(model), { ...NORMALIZED, samples })

const percent = (scores: QatCell['qfloat']): string => scores?.top1?.toFixed(1).padStart(5) ?? '    –'

function show({ algorithm, target, before, qfloat, deployed, within = 0, refused, seconds, beyond }: QatCell): void {
  const result = refused
    ? `refused: ${refused.reason}`
    : `${percent(before)} → ${percent(qfloat)}, deployed ${percent(deployed)}, within a step ${(100 * within).toFixed(2)} %`
  console.log(`${algorithm.padEnd(10)} ${target.padEnd(12)} ${result}${beyond ? ' *' : ''} (${seconds.toFixed(0)} s)`)
}

const model = await loadModel(args.model)
const bench = await benchQat(
  { resnet20: model },
  {
    engine: nodeEngine(args.threads ? { threads: Number(args.threads) } : {}),
    data: await open('train_jpeg.tar.gz', model, steps * BATCH),
    evaluation: { data: await open('test_jpeg2000.npz', model, Number(args.samples)), metrics: ['top1'] },
    algorithms: list(args.algorithms),
    targets: list(args.targets),
    schemes: [args.scheme],
    recipe: { steps, lr, batchSize: BATCH },
    memory: {
      name: path,
      load: async () => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined),
      save: async (state) => {
        const text = encodeUtf8(`${JSON.stringify(state, null, 2)}\n`)
        writeAtomically(path, (sink) => sink.write(text))
      },
    },
    onCell: show,
  },
)
console.log(`float ${percent(bench.float.resnet20)}; * rules of the backend at bits that it has no kernels for`)
