// What is done about weights that oscillate, and what comes of it: LSQ in the academic setting, by the recipe of `bench:qat`.
//   npm run bench:qat:float  first: the float network
//   npm run bench:qat:oscillation [-- --scheme w3a3 --steps 300 --model float.onnx --file results.json]
// Results: bench/results/oscillation.json, or the --file given.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Dataset, modelInputs } from '@fewbit/core/engine'
import { QAT_BENCH_RECIPE, type TrainQatOptions, trainingOf, trainQat } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine, openDataset } from '@fewbit/engine-node'
import { DATA, requireData } from '../lib/shared-data.ts'
import { FLOAT_PATH, NORMALIZED } from './task.ts'

requireData()
const { values: args } = parseArgs({
  options: {
    model: { type: 'string', default: FLOAT_PATH },
    scheme: { type: 'string', default: 'w3a3' },
    steps: { type: 'string', default: '300' },
    samples: { type: 'string', default: '2000' },
    file: { type: 'string', default: fileURLToPath(new URL('../results/oscillation.json', import.meta.url)) },
  },
})
const steps = Number(args.steps)
const recipe = { ...QAT_BENCH_RECIPE, steps }
const { batchSize, edgeBits, batchNorm } = recipe
QAT_BENCH_RECIPE

/** Frequencies of a run of some hundred steps: averages ten times as quick, and thresholds ten times as high, as the page says. */
const SHORT = 'momentum=0.1,threshold=0.1,thresholdStart=0.4'
const TREATMENTS: Readonly<Record<string, Pick<TrainQatOptions, 'oscillation' | 'reestimateBatches'>>> = {
  track: { oscillation: 'track:momentum=0.1' },
  freeze: { oscillation: `freeze:${SHORT}` },
  dampen: { oscillation: 'dampen:momentum=0.1' },
  're-estimate': { oscillation: 'track:momentum=0.1', reestimateBatches: 50 },
  'freeze, re-estimate': { oscillation: `freeze:${SHORT}`, reestimateBatches: 50 },
}

const model = await loadModel(args.model)
const open = (file: string, samples: number): Promise<Dataset> =>
  openDataset(join(DATA, 'cifar10', file), modelInputs(model), { ...NORMALIZED, samples })
const data = await open('train_jpeg.tar.gz', steps * batchSize)
const evaluation = { data: await open('test_jpeg2000.npz', Number(args.samples)), metrics: ['top1'] }
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

const rows = []
for (const [treatment, options] of Object.entries(TREATMENTS)) {
  const { report } = await trainQat(model, {
    ...{ engine: nodeEngine(), data, evaluation, ...trainingOf(recipe, model), ...options },
    quantization: { target: 'academic', scheme: args.scheme, edgeBits, batchNorm },
  })
  const { oscillating = Number.NaN, frozen = Number.NaN } = report.oscillation ?? {}
  const row = {
    treatment,
    before: report.before?.top1,
    trained: report.after?.top1,
    deployed: report.quantized?.top1,
    oscillating: percent(oscillating),
    frozen: percent(frozen),
  }
  rows.push(row)
  console.table([row])
}
console.table(rows)
writeFileSync(args.file, `${JSON.stringify({ scheme: args.scheme, steps, rows }, null, 2)}\n`)
