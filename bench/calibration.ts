/**
 * Time and memory of one-pass calibration against plain float inference over the same samples.
 *
 *   npm run bench:calibration [-- squeezenet,rfdn,resnet20] [--rounds 7] [--threads 1] [--json file]
 *
 * Calibration measures what the planner asks for on the prepared network, and ends with the choice of all four observers for every
 * tensor (8-bit affine). Samples are decoded before the clock starts and sessions are created outside it. Rounds are interleaved:
 * float, calibration, float, …, one session alive at a time. Processor time of single-threaded sessions stands beside wall time,
 * because it suffers less from other work on the machine. Peak memory is that of a process that only prepares and calibrates.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { collectStats, requestsForPlan, type StatRequest, type StatsTable } from '@fewbit/core/calibration'
import { batches, type Dataset, type Engine, modelInputs, type Sample } from '@fewbit/core/engine'
import { type Model, serializeModel } from '@fewbit/core/ir'
import { OBSERVERS, observe } from '@fewbit/core/observers'
import { planModel } from '@fewbit/core/pipeline'
import { quantSpec } from '@fewbit/core/quant'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { batchSizeFor, macsOnData } from '../packages/core/src/pipeline/macs.ts'
import { Run } from '../packages/core/src/pipeline/run.ts'
import { modelPath, networkNamed } from './lib/networks.ts'
import { fromSamples, requireData } from './lib/shared-data.ts'

/** What the search for the best observer tries. */
const SEARCHED = ['minmax', 'percentile', 'entropy', 'mse']
const SPEC = quantSpec({ bits: 8, signed: false, symmetric: false })

interface Case {
  readonly name: string
  readonly float: Model
  readonly requests: readonly StatRequest[]
  readonly data: Dataset
  /** What the pipeline runs together where the model's batch axis is open. */
  readonly batchSize: number
}

/** @param count how many samples; the first 32 repeat where more are asked for than the network's own number. */
async function loadCase(name: string, count?: number): Promise<Case> {
  const network = networkNamed(name)
  const { plan, float } = await planModel(await loadModel(modelPath(network)), { engine: nodeEngine() })
  const decoded: Sample[] = []
  for await (const sample of (await network.calibration(float)).samples()) {
    if (decoded.length < (count === undefined ? network.samples : 32)) decoded.push(sample)
  }
  const samples = Array.from({ length: count ?? decoded.length }, (_, i) => decoded[i % decoded.length] as Sample)
  const data = fromSamples(name, samples)
  const macs = await macsOnData(float, data, new Run({ engine: nodeEngine() }))
  return { name, float, requests: requestsForPlan(plan, OBSERVERS), data, batchSize: batchSizeFor(macs) }
}

interface Cost {
  readonly wall: number
  readonly cpu: number
}

/** Milliseconds since the call. */
function stopwatch(): () => Cost {
  const wall = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return { wall: performance.now() - wall, cpu: (user + system) / 1000 }
  }
}

async function runFloat({ float, data, batchSize }: Case, engine: Engine): Promise<Cost> {
  const session = await engine.load(serializeModel(float))
  const elapsed = stopwatch()
  for await (const batch of batches(data, modelInputs(float), { batchSize })) await session.run(batch.feeds)
  const cost = elapsed()
  await session.release()
  return cost
}

async function runCalibration({ float, requests, data, batchSize }: Case, engine: Engine) {
  let elapsed = stopwatch()
  const timed: Engine = {
    ...engine,
    async load(...args) {
      const session = await engine.load(...args)
      elapsed = stopwatch()
      return session
    },
  }
  const table = await collectStats(float, timed, data, requests, { batchSize })
  const collect = elapsed()
  chooseAll(table)
  return { collect, whole: elapsed() }
}

function chooseAll(table: StatsTable): void {
  for (const stats of table.values()) for (const observer of SEARCHED) observe(observer, stats, SPEC)
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

async function measure(name: string, rounds: number, threads: number) {
  const bench = await loadCase(name)
  const engine = nodeEngine({ threads })
  const runs: { float: Cost; collect: Cost; whole: Cost }[] = []
  for (let round = 0; round <= rounds; round++) {
    const float = await runFloat(bench, engine)
    const calibration = await runCalibration(bench, engine)
    // The first round compiles and warms up.
    if (round > 0) runs.push({ float, ...calibration })
  }
  const middle = (pick: (run: (typeof runs)[number]) => number): number => Number(median(runs.map(pick)).toFixed(2))
  return {
    network: name,
    samples: bench.data.length,
    tensors: bench.requests.length,
    floatMs: middle((r) => r.float.cpu),
    collectMs: middle((r) => r.collect.cpu),
    observeMs: middle((r) => r.whole.cpu - r.collect.cpu),
    cpuRatio: middle((r) => r.whole.cpu / r.float.cpu),
    leastCpuRatio: Number((least(runs, 'whole') / least(runs, 'float')).toFixed(2)),
    wallRatio: middle((r) => r.whole.wall / r.float.wall),
    rounds: runs,
  }
}

const least = (runs: readonly { float: Cost; whole: Cost }[], what: 'float' | 'whole'): number =>
  Math.min(...runs.map((run) => run[what].cpu))

/** Peak memory in MB of a process that prepares, plans and calibrates, or that only runs the float network. */
function peakMemory(name: string, samples: number, what: 'calibration' | 'float'): number {
  const script = [fileURLToPath(import.meta.url), name, '--peak', what, '--samples', String(samples)]
  const child = spawnSync(process.execPath, [...process.execArgv, ...script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.status !== 0) throw new Error(`${name} with ${samples} samples ended with ${child.status ?? child.signal}`)
  return Number(child.stdout)
}

async function peak(name: string, samples: number, what: string): Promise<void> {
  const bench = await loadCase(name, samples)
  if (what === 'float') await runFloat(bench, nodeEngine())
  else await runCalibration(bench, nodeEngine())
  process.stdout.write(String(Math.round(process.resourceUsage().maxRSS / 1024)))
}

requireData()
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '1' },
    json: { type: 'string' },
    peak: { type: 'string' },
    samples: { type: 'string', default: '32' },
  },
})
const names = positionals.length > 0 ? positionals.flatMap((p) => p.split(',')) : ['squeezenet', 'rfdn', 'resnet20']
if (values.peak) {
  await peak(names[0] as string, Number(values.samples), values.peak)
} else {
  const results = []
  for (const name of names) {
    const times = await measure(name, Number(values.rounds), Number(values.threads))
    const memory = {
      floatMB: peakMemory(name, 32, 'float'),
      peakMB32: peakMemory(name, 32, 'calibration'),
      peakMB512: peakMemory(name, 512, 'calibration'),
    }
    results.push({ ...times, ...memory })
  }
  console.table(results.map(({ rounds: _, ...row }) => row))
  const report = JSON.stringify({ node: process.version, onnxruntime: nodeEngine().version, results }, null, 2)
  if (values.json) writeFileSync(values.json, `${report}\n`)
  else console.log(report)
}
