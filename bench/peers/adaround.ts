/**
 * AdaRound in PyTorch beside the rounding algorithms here: the same layers, scales and inputs, in one run.
 *
 *   npm run bench:peers:adaround [-- --networks resnet20,vww --steps 1000 --rates 0.01,0.001 --rounds 1 --scheme w4]
 *
 * Every layer is compared on what it reads in the float network, with its bias as it is. All round on every second calibration sample; the other half
 * measures. Makes a Python environment in .cache/adaround with pip; says so and stops where that cannot be had. Results replace those of the same
 * network in bench/results/ptq-adaround-peer.json.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Dataset } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { type QuantizeResult, quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, type Network, networkNamed } from '../lib/networks.ts'
import { ensurePython, lastLine, pythonOf } from '../lib/python.ts'
import { pick, requireData } from '../lib/shared-data.ts'
import { layersOf, writeInputs, writeLayers, writeWeights } from './rounding-layers.ts'

const ENV = {
  folder: fileURLToPath(new URL('../../.cache/adaround', import.meta.url)),
  packages: ['torch==2.13.0', 'numpy==2.4.6'],
  module: 'torch',
}
const SCRIPT = fileURLToPath(new URL('adaround.py', import.meta.url))
const RESULTS = fileURLToPath(new URL('../results/ptq-adaround-peer.json', import.meta.url))
const METHODS = ['gptq', 'coordinate-descent', 'adaround']
/** As PyTorch rounds: float inputs, biases and scales as they are. */
const ALIKE = { inputs: 'float', bias: false, scales: 'fixed' } as const

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Mean squared output errors by layer. */
interface Errors {
  readonly calibrate: readonly number[]
  readonly 'held-out': readonly number[]
}

const { values: args } = parseArgs({
  options: {
    networks: { type: 'string', default: 'resnet20' },
    scheme: { type: 'string', default: 'w4' },
    steps: { type: 'string', default: '1000' },
    rates: { type: 'string', default: '0.01,0.001' },
    rounds: { type: 'string', default: '1' },
  },
})
requireData()
const failure = ensurePython(ENV)
if (failure) {
  console.error(`no Python environment: ${failure}`)
  process.exit(1)
}
const engine = nodeEngine()

async function rounded(model: Model, data: Dataset, method?: string): Promise<{ result: QuantizeResult; cost: Cost }> {
  const before = process.cpuUsage()
  const scheme = args.scheme
  const result = await quantize(model, {
    ...{ engine, target: 'academic', scheme },
    overrides: [{ match: {}, scheme, granularity: 'channel' }],
    algorithms: method ? [{ name: method, options: ALIKE }] : [],
    calibration: { data, samples: data.length ?? 0 },
  })
  const { user, system } = process.cpuUsage(before)
  return { result, cost: { seconds: result.report.algorithms[0]?.seconds ?? 0, cpuSeconds: (user + system) / 1e6 } }
}

/** The last line that the script printed. */
function python<T>(...words: string[]): T {
  const run = spawnSync(pythonOf(ENV), [SCRIPT, ...words], { encoding: 'utf8' })
  if (run.error || run.status !== 0) throw new Error(lastLine(run))
  return JSON.parse(run.stdout.trim().split('\n').at(-1) as string)
}

async function compare(network: Network) {
  const folder = join(ENV.folder, 'layers', network.name)
  mkdirSync(folder, { recursive: true })
  const model = await loadModel(modelPath(network))
  const all = await network.calibration(model)
  const data = pick(all, (i) => i % 2 === 0)
  const { result } = await rounded(model, data)
  const layers = layersOf(result)
  await writeLayers(result, layers, folder)
  await writeInputs(result.float, layers, data, engine, join(folder, 'calibrate.npz'))
  const others = pick(all, (i) => i % 2 === 1)
  await writeInputs(result.float, layers, others, engine, join(folder, 'held-out.npz'))
  const costs: Record<string, Cost[]> = {}
  for (let round = 0; round < Number(args.rounds); round++) {
    for (const method of METHODS) {
      const { result: own, cost } = await rounded(model, data, method)
      await writeWeights(own.float, layers, join(folder, `${method}.npz`))
      costs[method] = [...(costs[method] ?? []), cost]
    }
    for (const rate of args.rates.split(',')) {
      const name = `pytorch-${rate}`
      const cost = python<Cost>('round', folder, join(folder, `${name}.npz`), args.steps, rate)
      costs[name] = [...(costs[name] ?? []), cost]
    }
  }
  const errors = python<Record<string, Errors>>('measure', folder, ...Object.keys(costs))
  return { network: network.name, scheme: args.scheme, steps: Number(args.steps), layers: layers.length, costs, errors }
}

type Comparison = Awaited<ReturnType<typeof compare>>

const least = (values: readonly number[]): number => Math.min(...values)
/** Geometric mean over the layers of an error's ratio to that of rounding to the nearest. */
const ratio = (errors: readonly number[], nearest: readonly number[]): number =>
  Math.exp(errors.reduce((sum, e, i) => sum + Math.log(e / (nearest[i] as number)), 0) / errors.length)

function print({ network, errors, costs, layers }: Comparison): void {
  const { nearest } = errors
  if (!nearest) return
  console.log(
    `${network}, ${layers} layers: error as a share of rounding to the nearest (geometric mean), held out, worst layer, s, CPU s`,
  )
  for (const [name, own] of Object.entries(errors)) {
    const [seen, held] = (['calibrate', 'held-out'] as const).map((part) => ratio(own[part], nearest[part]))
    const worst = Math.max(...own['held-out'].map((e, i) => e / (nearest['held-out'][i] as number)))
    const cost = costs[name] ?? []
    const [wall, cpu] = [least(cost.map((c) => c.seconds)), least(cost.map((c) => c.cpuSeconds))].map((t) =>
      t.toFixed(1),
    )
    console.log(`${name.padEnd(20)} ${[seen, held, worst].map((x) => x?.toFixed(4)).join('  ')}  ${wall}  ${cpu}`)
  }
}

for (const name of args.networks.split(',')) {
  const row = await compare(networkNamed(name))
  print(row)
  const rows: Comparison[] = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : []
  writeFileSync(
    RESULTS,
    `${JSON.stringify([...rows.filter((r) => r.network !== name || r.scheme !== row.scheme), row], null, 2)}\n`,
  )
}
