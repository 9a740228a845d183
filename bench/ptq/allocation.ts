// Mixed 4- and 8-bit weights in 60 % of the size of 8-bit weights, against 4 and 8 bits everywhere, and the time that the solver takes.
//   npm run bench:ptq:allocation -- [--network resnet20,vww,squeezenet] [--sensitivity auto,layer] [--json bench/results/allocation.json]
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  type Allocation,
  allocate,
  allocationOptions,
  type ChoiceProblem,
  type QuantizeOptions,
  quantize,
  type SensitivityName,
} from '@fewbit/core/pipeline'
import { rng } from '@fewbit/core/util'
import { highsSolver, loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, type Network, networksNamed } from '../lib/networks.ts'
import type { Scores } from '../lib/score.ts'
import { requireData } from '../lib/shared-data.ts'

requireData()
const { values } = parseArgs({
  options: {
    network: { type: 'string', default: 'resnet20,vww,squeezenet' },
    sensitivity: { type: 'string', default: 'auto' },
    json: { type: 'string' },
  },
})
const engine = nodeEngine()
const solver = highsSolver()
const BUDGET = { measure: 'size', limit: 0.6, of: 'w8' } as const

interface Row {
  readonly network: string
  readonly what: string
  /** Of weights that can be chosen, and all others. */
  readonly bytes?: number
  /** Output SQNR on the samples of the allocation, in dB. */
  readonly predicted?: number
  readonly measured?: number
  readonly scores: Scores
  readonly seconds?: number
}

/** Networks that are not measured this time keep their rows. */
const file = values.json
const before: { readonly rows: readonly Row[] } =
  file && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { rows: [] }
const rows: Row[] = before.rows.filter(
  ({ network }) => !networksNamed([values.network]).some((n) => n.name === network),
)
function add(row: Row): void {
  rows.push(row)
  if (file) writeFileSync(file, `${JSON.stringify({ solving, rows }, null, 2)}\n`)
  const scores = Object.entries(row.scores).map(([name, value]) => `${name} ${value.toFixed(2)}`)
  const db = [row.predicted, row.measured].map((sqnr) => sqnr?.toFixed(1) ?? '–').join(' / ')
  console.log(
    `${row.network.padEnd(11)} ${row.what.padEnd(16)} ${String(row.bytes ?? '').padStart(8)} B  ${db} dB  ${scores.join(', ')}`,
  )
}

async function measure(network: Network): Promise<void> {
  const model = await loadModel(modelPath(network))
  const data = await network.calibration(model)
  const common = {
    engine,
    weightObserver: 'mse',
    calibration: { data, samples: network.samples, observer: 'mse' },
  } as const
  const scored = async (options: Partial<QuantizeOptions>) => {
    const { model: quantized } = await quantize(model, { ...common, ...options })
    return network.score(quantized, engine, model)
  }
  add({ network: network.name, what: 'float', scores: await network.score(model, engine) })
  let first: Allocation | undefined
  for (const sensitivity of values.sensitivity.split(',') as (SensitivityName | 'auto')[]) {
    const start = performance.now()
    const { allocation } = await allocate(model, { ...common, bits: [4, 8], budgets: [BUDGET], sensitivity, solver })
    const seconds = (performance.now() - start) / 1000
    if (!first)
      for (const { choice, used, sqnr } of allocation.uniform) {
        const figures = { measured: sqnr, scores: await scored({ scheme: choice }) }
        add({ network: network.name, what: choice, bytes: used[0] as number, ...figures })
      }
    first ??= allocation
    const { predicted, measured, budgets } = allocation
    add({
      network: network.name,
      what: `mixed by ${allocation.by}`,
      bytes: budgets[0]?.used as number,
      ...(predicted ? { predicted: predicted.sqnr } : {}),
      measured: measured.sqnr,
      scores: await scored(allocationOptions(allocation)),
      seconds,
    })
  }
  add({ network: network.name, what: 'w4a8, 3 in float', scores: await scored({ scheme: 'w4a8', floatWorst: 3 }) })
}

/** Layers of very different sizes and sensitivities, with five widths each. */
function synthetic(seed: number, layers: number): ChoiceProblem {
  const random = rng(seed)
  const bits = [2, 3, 4, 6, 8]
  const groups = Array.from({ length: layers }, () => {
    const [size, error] = [1000 + random.int(1e6), 10 ** (4 * random.next() - 6)]
    const costs = bits.map((b) => error * 4 ** -b * (0.7 + 0.6 * random.next()))
    return { costs, weights: [bits.map((b) => (size * b) / 8)] }
  })
  const most = groups.reduce((sum, { weights }) => sum + (weights[0]?.at(-1) ?? 0), 0)
  return { groups, limits: [(0.4 + 0.05 * (seed % 8)) * most] }
}

/** Processor time, because other programs may run. */
async function timeSolver(): Promise<{ median: number; longest: number }> {
  await solver.solve(synthetic(0, 2))
  const seconds: number[] = []
  for (let seed = 1; seed <= 24; seed++) {
    const start = process.cpuUsage()
    await solver.solve(synthetic(seed, 56))
    const { user, system } = process.cpuUsage(start)
    seconds.push((user + system) / 1e6)
  }
  seconds.sort((a, b) => a - b)
  return { median: seconds[12] as number, longest: seconds.at(-1) as number }
}

const solving = await timeSolver()
console.log(`56 layers, 5 widths: median ${solving.median.toFixed(2)} s, longest of 24 ${solving.longest.toFixed(2)} s`)
for (const network of networksNamed([values.network])) await measure(network)
