/**
 * Time and memory of one-pass calibration against plain float inference over the same samples.
 *
 *   npx tsx bench/calibration.ts [--rounds 5] [--json out.json]
 *   npx tsx bench/calibration.ts --memory rfdn 512      peak memory of one calibration run in a process of its own
 *
 * Reads ../shared/data (or FEWBIT_DATA). Samples are decoded before the clock starts. Rounds are interleaved: float, calibration,
 * float, … in one process, one session alive at a time, session creation reported apart. Calibration includes counting the
 * histograms and the choice of all four observers for every tensor (8-bit affine).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type CollectOptions, collectStats, type StatRequest } from '@fewbit/core/calibration'
import { batches, type Dataset, type Engine, modelInputs, type Sample, type Session } from '@fewbit/core/engine'
import { asTensor, type Model, type Node, readModel, serializeModel } from '@fewbit/core/ir'
import { OBSERVERS, observe } from '@fewbit/core/observers'
import { defaultOps } from '@fewbit/core/ops'
import { convertOpset, inferShapesPass, runPasses } from '@fewbit/core/passes'
import { quantSpec } from '@fewbit/core/quant'
import { Diagnostics } from '@fewbit/core/util'
import { type DataOptions, nodeEngine, openDataset } from '@fewbit/engine-node'

const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../shared/data', import.meta.url))

interface Case {
  readonly file: string
  readonly data: string
  readonly samples: number
  readonly batchSize: number
  readonly options: DataOptions
}

const IMAGENET_STATS = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const CASES: Readonly<Record<string, Case>> = {
  squeezenet: {
    file: 'imagenet_squeezenet11.onnx',
    data: 'imagenet256',
    samples: 100,
    batchSize: 1,
    options: { preset: 'imagenet-caffe' },
  },
  rfdn: {
    file: 'sr_rfdn_x4.onnx',
    data: 'coco128/images',
    samples: 32,
    batchSize: 1,
    options: { crop: { width: 64, height: 64 } } as DataOptions,
  },
  resnet20: {
    file: 'cifar_resnet20.onnx',
    data: 'cifar10/calib200.npz',
    samples: 200,
    batchSize: 25,
    options: { scale: 1 / 255, ...IMAGENET_STATS } as DataOptions,
  },
}

/** Operators whose results int8 networks measure. Concat, pooling and resizing share the scale of what they read. */
const MEASURED = /^(Conv|ConvTranspose|Gemm|MatMul|Add|Mul|Relu|Clip|LeakyRelu|Sigmoid|BatchNormalization)$/
const ABSORBED = /^(Relu|Clip|LeakyRelu|BatchNormalization)$/

/** Inputs, and the results of arithmetic, each after the activation that a kernel absorbs. */
function requestsOf(model: Model): StatRequest[] {
  const isAbsorbed = (node: Node): boolean => {
    const readers = node.outputs[0]?.consumers() ?? []
    return readers.length === 1 && ABSORBED.test(readers[0]?.opType ?? '')
  }
  const isMeasured = (node: Node): boolean => {
    const dtype = asTensor(node.outputs[0]?.type)?.dtype
    return MEASURED.test(node.opType) && dtype === 'float32' && !isAbsorbed(node)
  }
  const outputs = [...model.graph.nodes].filter(isMeasured).map((node) => node.outputs[0]?.name as string)
  return [...modelInputs(model).map((input) => input.name), ...outputs].map((value) => ({ value, kind: 'histogram' }))
}

async function loadCase(
  name: string,
  samples: number,
  distinct = samples,
): Promise<{ model: Model; dataset: Dataset; run: Case }> {
  const run = CASES[name]
  if (!run) throw new Error(`no case "${name}"`)
  const model = readModel(readFileSync(`${DATA}/models/${run.file}`))
  await runPasses(model, [...(model.opset() < 13 ? [convertOpset(13)] : []), inferShapesPass], {
    ops: defaultOps,
    diagnostics: new Diagnostics(),
    trace: () => {},
  })
  const source = await openDataset(`${DATA}/${run.data}`, modelInputs(model), { ...run.options, samples: distinct })
  const decoded: Sample[] = []
  for await (const sample of source.samples()) decoded.push(sample)
  return { model, run, dataset: cycled(source, decoded, samples) }
}

/** Repeats decoded samples up to a number, for memory measurements beyond the size of the set. */
function cycled(source: Dataset, decoded: readonly Sample[], count: number): Dataset {
  return {
    name: source.name,
    length: count,
    async *samples() {
      for (let i = 0; i < count; i++) yield decoded[i % decoded.length] as Sample
    },
    toJSON: () => source.toJSON(),
  }
}

async function timeFloat(engine: Engine, model: Model, dataset: Dataset, batchSize: number) {
  const begin = performance.now()
  const session: Session = await engine.load(serializeModel(model))
  const loaded = performance.now()
  for await (const batch of batches(dataset, modelInputs(model), { batchSize })) await session.run(batch.feeds)
  const done = performance.now()
  await session.release()
  return { load: loaded - begin, run: done - loaded }
}

async function timeCalibration(engine: Engine, model: Model, dataset: Dataset, options: CollectOptions) {
  let load = 0
  const timed: Engine = {
    ...engine,
    async load(...args) {
      const begin = performance.now()
      const session = await engine.load(...args)
      load = performance.now() - begin
      return session
    },
  }
  const begin = performance.now()
  const table = await collectStats(model, timed, dataset, requestsOf(model), options)
  const collected = performance.now()
  const spec = quantSpec({ bits: 8, signed: false, symmetric: false })
  for (const stats of table.values()) for (const observer of Object.keys(OBSERVERS)) observe(observer, stats, spec)
  return { load, collect: collected - begin - load, observe: performance.now() - collected, tensors: table.size }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

async function measure(name: string, rounds: number) {
  const { model, run, dataset } = await loadCase(name, CASES[name]?.samples ?? 0)
  const engine = nodeEngine()
  const rows = []
  for (let round = 0; round < rounds; round++) {
    const float = await timeFloat(engine, model, dataset, run.batchSize)
    const calibration = await timeCalibration(engine, model, dataset, { batchSize: run.batchSize })
    rows.push({ float, calibration, ratio: (calibration.collect + calibration.observe) / float.run })
  }
  return {
    network: name,
    samples: run.samples,
    batch: run.batchSize,
    tensors: rows[0]?.calibration.tensors,
    floatMs: median(rows.map((r) => r.float.run)),
    collectMs: median(rows.map((r) => r.calibration.collect)),
    observeMs: median(rows.map((r) => r.calibration.observe)),
    ratio: median(rows.map((r) => r.ratio)),
    collectRatio: median(rows.map((r) => r.calibration.collect / r.float.run)),
    ratios: rows.map((r) => Number(r.ratio.toFixed(2))),
    loadFloatMs: median(rows.map((r) => r.float.load)),
    loadCalibrationMs: median(rows.map((r) => r.calibration.load)),
  }
}

async function memory(name: string, samples: number): Promise<void> {
  const { model, run, dataset } = await loadCase(name, samples, Math.min(samples, 32))
  await collectStats(model, nodeEngine(), dataset, requestsOf(model), { batchSize: run.batchSize })
  console.log(JSON.stringify({ network: name, samples, peakMB: Math.round(process.resourceUsage().maxRSS / 1024) }))
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, json: { type: 'string' }, memory: { type: 'boolean' } },
})
if (values.memory) {
  await memory(positionals[0] ?? 'squeezenet', Number(positionals[1] ?? 32))
} else {
  const names = positionals.length > 0 ? positionals : Object.keys(CASES)
  const results = []
  for (const name of names) results.push(await measure(name, Number(values.rounds)))
  console.table(results.map(({ ratios: _, ...row }) => row))
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
}
