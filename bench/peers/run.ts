/**
 * onnxruntime.quantization (Python) and fewbit on the same networks, samples and scores, side by side.
 *
 *   npm run bench:peers [-- name,name] [--json file] [--rounds 5] [--budget 0.3]
 *     [--batches 1,32] [--weights per-channel] [--reuse]
 *
 * Makes a Python environment in .cache/peers with pip; says so and stops where that cannot be had. Each tool quantizes in a
 * process of its own; scores and latencies of all files come from the same code here. --reuse keeps the files of an earlier run
 * and repeats only scores and latencies.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Dataset } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, type Network, networksNamed } from '../lib/networks.ts'
import { writeSamples } from '../lib/samples.ts'
import type { Scores } from '../lib/score.ts'
import { requireData } from '../lib/shared-data.ts'
import { feedsOf, timeInTurn } from '../lib/timing.ts'
import { CACHE, type Cost, costOf, missingPython, quantizeWithPeer } from './python.ts'
import { costTable, latencyTable, scoreTable } from './tables.ts'

export interface Entry {
  readonly tool: string
  readonly cost?: Cost
  readonly failure?: string
  readonly bytes?: number
  readonly scores?: Scores
  /** Milliseconds per sample, by batch size; of the same run as the float network's. */
  readonly latency?: Readonly<Record<string, number>>
}

export interface Comparison {
  readonly network: string
  readonly entries: readonly Entry[]
}

const PEER_WEIGHTS = ['per-tensor', 'per-channel'] as const
const PEER_METHODS = ['MinMax', 'Percentile'] as const
const CHILD = fileURLToPath(new URL('quantize-child.ts', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    budget: { type: 'string', default: '0.3' },
    reuse: { type: 'boolean', default: false },
    weights: { type: 'string' },
    batches: { type: 'string', default: '1,32' },
  },
})
const engine = nodeEngine()

/** Quantizes with one tool unless a file of an earlier run is to be kept. */
function produce(file: string, quantize: () => ReturnType<typeof costOf>): Omit<Entry, 'tool'> {
  const record = `${file}.json`
  if (!(values.reuse && existsSync(record))) writeFileSync(record, JSON.stringify(quantize()))
  const result: ReturnType<typeof costOf> = JSON.parse(readFileSync(record, 'utf8'))
  return 'failure' in result ? result : { cost: result, bytes: statSync(file).size }
}

function quantizeWithFewbit(network: Network, output: string): ReturnType<typeof costOf> {
  const args = ['--import', 'tsx', CHILD, network.name, output]
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.tools.json') }
  return costOf(spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' }))
}

function quantizeAll(network: Network, folder: string): Map<string, Omit<Entry, 'tool'>> {
  const model = modelPath(network)
  const samples = join(folder, 'samples.npz')
  const made = new Map<string, Omit<Entry, 'tool'>>([['float', { bytes: statSync(model).size }]])
  for (const method of PEER_METHODS) {
    for (const weights of PEER_WEIGHTS) {
      if (values.weights && values.weights !== weights) continue
      const output = fileOf(folder, `peer ${weights} ${method}`)
      const peer = () => quantizeWithPeer({ model, samples, output, weights, method })
      made.set(`peer ${weights} ${method}`, produce(output, peer))
    }
  }
  const output = fileOf(folder, 'fewbit')
  return made.set(
    'fewbit',
    produce(output, () => quantizeWithFewbit(network, output)),
  )
}

const fileOf = (folder: string, tool: string): string => join(folder, `${tool.replaceAll(' ', '-')}.onnx`)

/** Scores and times every file that exists; a file that the engine refuses is a failure of the tool that wrote it. */
async function compare(network: Network): Promise<Comparison> {
  const folder = join(CACHE, 'models', network.name)
  mkdirSync(folder, { recursive: true })
  const float = await loadModel(modelPath(network))
  const data = await network.calibration(float)
  await writeSamples(data, join(folder, 'samples.npz'))
  const entries: Entry[] = []
  const models: Model[] = []
  for (const [tool, made] of quantizeAll(network, folder)) {
    const model = made.failure ? undefined : tool === 'float' ? float : await loadModel(fileOf(folder, tool))
    const scored = model ? await score(network, model, model === float ? undefined : float) : {}
    entries.push({ tool, ...made, ...scored })
    if (model && !('failure' in scored)) models.push(model)
  }
  return { network: network.name, entries: await timed(entries, models, data) }
}

async function score(network: Network, model: Model, float?: Model): Promise<Pick<Entry, 'scores' | 'failure'>> {
  try {
    return { scores: await network.score(model, engine, float) }
  } catch (error) {
    return { failure: (error as Error).message }
  }
}

async function timed(entries: readonly Entry[], models: readonly Model[], data: Dataset): Promise<Entry[]> {
  const latency = models.map((): Record<string, number> => ({}))
  const options = { rounds: Number(values.rounds), budget: Number(values.budget) }
  for (const size of values.batches.split(',').map(Number)) {
    const feeds = await feedsOf(models[0] as Model, data, size)
    const seconds = feeds ? await timeInTurn(models, feeds, engine, options) : []
    for (const [i, value] of seconds.entries()) (latency[i] as Record<string, number>)[size] = (1000 * value) / size
  }
  return entries.map((entry) => (entry.failure ? entry : { ...entry, latency: latency.shift() ?? {} }))
}

requireData()
const missing = missingPython()
if (missing) {
  console.log(`skipped: the Python tool is not available (${missing})`)
} else {
  const results: Comparison[] = []
  for (const network of networksNamed(positionals)) {
    const result = await compare(network)
    results.push(result)
    console.log(`\n${[scoreTable(result), costTable(result), latencyTable(result)].join('\n\n')}`)
    if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
  }
}
