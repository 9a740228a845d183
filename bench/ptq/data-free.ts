// Quantizing without data beside quantizing with them, on networks whose file still has BatchNormalization: ranges that it remembers,
// data distilled from what it remembers, and real data. Scores on samples that calibration did not see.
//   npm run bench:ptq:data-free [-- --json file] [-- network …]
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Dataset, type Distilled, distillData } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { type QuantizeOptions, quantize } from '@fewbit/core/pipeline'
import { FewbitError } from '@fewbit/core/util'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { pictureData } from '../../packages/cli/src/demo/picture-data.ts'
import { modelPath, type Network, networkNamed } from '../lib/networks.ts'
import { classify } from '../lib/score.ts'
import { requireData } from '../lib/shared-data.ts'

requireData()
const jsonAt = process.argv.indexOf('--json')
const jsonFile = jsonAt >= 0 ? process.argv[jsonAt + 1] : undefined
const named = process.argv.slice(2).filter((word) => !word.startsWith('-') && word !== jsonFile)
const engine = nodeEngine()

/** Samples to calibrate on, real or distilled. */
const SAMPLES = 32
const SEEDS = [1, 2, 3]
const analytic = { name: 'bias-correction', options: { method: 'analytic' } }

type Subject = Pick<Network, 'name' | 'calibration' | 'score'> & { readonly path: string }

const demo: Subject = {
  name: 'demo',
  path: fileURLToPath(new URL('../../packages/cli/assets/demo.onnx', import.meta.url)),
  calibration: async () => pictureData('calibrate', SAMPLES),
  score: (model, engine, against) => classify(model, pictureData('test', 512), engine, against),
}
const published = (name: string): Subject => {
  const network = networkNamed(name)
  return { ...network, path: modelPath(network) }
}
const SUBJECTS = [demo, published('vww'), published('honk')].filter(({ name }) => !named.length || named.includes(name))

type Way = Pick<QuantizeOptions, 'calibration' | 'algorithms'>

/** What is stated of the input without data: its least and greatest element. */
async function rangeOf(data: Dataset): Promise<[number, number]> {
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for await (const { feeds } of data.samples()) {
    for (const tensor of Object.values(feeds))
      for (const x of tensor.numbers()) [lo, hi] = [Math.min(lo, x), Math.max(hi, x)]
  }
  return [lo, hi]
}

const rows: unknown[] = []
function note(row: unknown): void {
  rows.push(row)
  console.log(JSON.stringify(row))
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(rows, null, 1)}\n`)
}

async function distilled(
  model: Model,
  inputRange: readonly [number, number],
  seed: number,
): Promise<Distilled & { seconds: number }> {
  const start = performance.now()
  const made = await distillData(model, { engine, ops: defaultOps }, { samples: SAMPLES, inputRange, seed })
  return { ...made, seconds: (performance.now() - start) / 1000 }
}

for (const subject of SUBJECTS) {
  const model = await loadModel(subject.path)
  note({ network: subject.name, way: 'float', scores: await subject.score(model, engine, model) })
  const data = await subject.calibration(model)
  const inputRange = await rangeOf(data)
  const real = { data, samples: SAMPLES }
  const dataFree = { dataFree: { inputRange } }
  const ways: Record<string, Way> = {
    'with data': { calibration: real },
    'with data, bias-correction': { calibration: real, algorithms: ['bias-correction'] },
    'data-free': { calibration: dataFree },
    'data-free, bias-correction:analytic': { calibration: dataFree, algorithms: [analytic] },
    'data-free, cle, bias-correction:analytic': { calibration: dataFree, algorithms: ['cle', analytic] },
  }
  for (const seed of SEEDS) {
    const { data, loss, layers, seconds } = await distilled(model, inputRange, seed)
    note({ network: subject.name, way: 'distilling', seed, loss, layers, seconds, inputRange })
    ways[`distilled ${seed}`] = { calibration: { data, samples: SAMPLES } }
    ways[`distilled ${seed}, bias-correction`] = {
      calibration: { data, samples: SAMPLES },
      algorithms: ['bias-correction'],
    }
  }
  for (const perTensor of [false, true]) {
    for (const [way, options] of Object.entries(ways)) {
      const row = { network: subject.name, target: 'onnxruntime', perTensor, way }
      try {
        const { model: quantized, report } = await quantize(model, { engine, perTensor, ...options })
        const scores = await subject.score(quantized, engine, model)
        note({ ...row, scores, observer: report.choice.observer })
      } catch (error) {
        if (!(error instanceof FewbitError)) throw error
        note({ ...row, refused: error.code })
      }
    }
  }
}
