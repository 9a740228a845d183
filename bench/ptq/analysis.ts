// Layerwise analysis: what it costs, and whether it ranks layers as the task does.
//   npm run bench:ptq:analysis [-- --json file]
//
// Cost: the error that each layer of the 8-bit network makes alone, by wall clock and by CPU time (both cores together).
// Rank: Spearman's correlation between the layerwise SQNR on calibration data and what each layer alone does to the task on other data:
// accuracy, and cross-entropy, which also sees changes that turn no answer over. With 4 bits, since at 8 bits hardly any layer alone
// turns an answer over. Two further measures beside it: KL, and what graphwise analysis says of the same layers.
import { writeFileSync } from 'node:fs'
import {
  graphwiseError,
  type LayerwiseError,
  layerwiseError,
  type QuantizedNetwork,
  quantLayers,
  variantOf,
} from '@fewbit/core/analysis'
import type { Dataset, Engine, LoadOptions } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { type QuantizeOptions, quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { labelledTest, modelPath, networkNamed } from '../lib/networks.ts'
import { argmax, eachOutput } from '../lib/score.ts'
import { requireData } from '../lib/shared-data.ts'

requireData()
const jsonAt = process.argv.indexOf('--json')
const jsonFile = jsonAt >= 0 ? process.argv[jsonAt + 1] : undefined
const engine = nodeEngine()
const SIMULATE: LoadOptions = { optimization: 'simulate' }

async function networkFor(name: string, options: Omit<QuantizeOptions, 'engine' | 'calibration'>) {
  const network = networkNamed(name)
  const model = await loadModel(modelPath(network))
  const data = await network.calibration(model)
  const form = options.target === 'academic' ? ('simulate' as const) : ('qdq' as const)
  const made = await quantize(model, { engine, ...options, calibration: { data, samples: 64, observer: 'mse' } })
  const { float, plan, params } = made
  const quantized: QuantizedNetwork = { float, adjusted: float, plan, params, form }
  return { model, data, quantized, written: made.model }
}

/** Seconds of a layerwise analysis, the better of two runs: the machine may be busy with other things. */
async function cost(name: string, samples: number, batchSize: number) {
  const { data, quantized } = await networkFor(name, {})
  const runs = []
  for (let run = 0; run < 2; run++) {
    const [start, before] = [performance.now(), process.cpuUsage()]
    const errors = await layerwiseError(quantized, { engine, data, ops: defaultOps, limit: samples, batchSize })
    const { user, system } = process.cpuUsage(before)
    runs.push({ layers: errors.length, wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 })
  }
  const [best] = runs.sort((a, b) => a.cpu - b.cpu)
  return { network: name, samples, batchSize, ...best }
}

interface TaskScore {
  readonly top1: number
  readonly crossEntropy: number
}

async function scoreTask(model: Model, data: Dataset, load: LoadOptions): Promise<TaskScore> {
  const simulating: Engine = { ...engine, load: (source, options) => engine.load(source, { ...load, ...options }) }
  let [hits, entropy, count] = [0, 0, 0]
  await eachOutput(model, data, simulating, ({ label = 0 }, outputs) => {
    const scores = Object.values(outputs)[0]?.numbers() ?? []
    const largest = Math.max(...scores)
    const sum = Array.from(scores, (s) => Math.exp(s - largest)).reduce((a, b) => a + b, 0)
    entropy += Math.log(sum) + largest - (scores[label] as number)
    if (argmax(scores) === label) hits++
    count++
  })
  return { top1: (100 * hits) / count, crossEntropy: entropy / count }
}

/** Spearman's ρ: Pearson's correlation of ranks, equal values sharing the mean of theirs. */
function spearman(a: readonly number[], b: readonly number[]): number {
  const ranks = (values: readonly number[]) =>
    values.map((v) => values.filter((u) => u < v).length + (values.filter((u) => u === v).length - 1) / 2)
  const [x, y] = [ranks(a), ranks(b)]
  const mean = (x.length - 1) / 2
  const dot = (p: number[], q: number[]) => p.reduce((sum, v, i) => sum + (v - mean) * ((q[i] as number) - mean), 0)
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}

interface LayerRow {
  readonly node: string
  readonly opType: string
  readonly sqnr: number
  readonly kl: number
  readonly weights: number
  readonly activations: number
  readonly accumulated: number | undefined
  readonly top1Drop: number
  readonly crossEntropyRise: number
}

async function agreement(name: string, scheme: string, samples: number) {
  const options = { target: 'academic', scheme, smallLayers: 'integer' as const }
  const { model, data, quantized, written } = await networkFor(name, options)
  const test = await labelledTest(model)
  const common = { engine, data, ops: defaultOps, load: SIMULATE, limit: samples }
  const errors = await layerwiseError(quantized, { ...common, batchSize: 16, split: true })
  inferShapes(written, { ops: defaultOps })
  const graphwise = await graphwiseError(quantized.float, written, { ...common, batchSize: 2 })
  const float = await scoreTask(quantized.float, test, SIMULATE)
  const rows: LayerRow[] = []
  for (const error of errors) {
    const { layer, isolated, weightsOnly, activationsOnly } = error as Required<LayerwiseError>
    const task = await scoreTask(variantOf(quantized, 'all', layer), test, SIMULATE)
    const accumulated = graphwise.find(({ value }) => layer.makes.has(value))?.sqnr
    rows.push({
      node: layer.node,
      opType: layer.opType,
      ...{
        sqnr: isolated.sqnr,
        kl: isolated.kl ?? 0,
        weights: weightsOnly.sqnr,
        activations: activationsOnly.sqnr,
        accumulated,
      },
      top1Drop: float.top1 - task.top1,
      crossEntropyRise: task.crossEntropy - float.crossEntropy,
    })
    console.log(`  ${layer.node} ${isolated.sqnr.toFixed(1)} dB, top1 ${task.top1.toFixed(2)}`)
  }
  const measured = rows.filter((row) => row.accumulated !== undefined)
  const of = (list: readonly LayerRow[], measure: (row: LayerRow) => number) => ({
    top1: spearman(
      list.map(measure),
      list.map((row) => row.top1Drop),
    ),
    crossEntropy: spearman(
      list.map(measure),
      list.map((row) => row.crossEntropyRise),
    ),
  })
  return {
    ...{ network: name, scheme, calibrationSamples: samples, testSamples: test.length, float },
    layers: quantLayers(quantized.float, quantized.plan, defaultOps).length,
    spearman: {
      layerwiseSqnr: of(rows, (row) => -row.sqnr),
      layerwiseKl: of(rows, (row) => row.kl),
      graphwiseSqnr: of(measured, (row) => -(row.accumulated as number)),
    },
    rows,
  }
}

const costs = [await cost('resnet20', 128, 16), await cost('squeezenet', 50, 5)]
for (const c of costs) {
  console.log(
    `${c.network}: ${c.layers} layers, ${c.samples} samples: ${c.wall?.toFixed(2)} s, ${c.cpu?.toFixed(2)} s of CPU`,
  )
}
// Networks of few layers have no ranks worth a correlation.
const agreements = [await agreement('resnet20', 'w4a4', 64)]
for (const found of agreements) console.log(found.network, JSON.stringify(found.spearman))
if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ costs, agreements }, null, 2)}\n`)
