// The integer interpreter by one and by several threads, in turn in one process: median time of an image, processor time, products per second.
//   npm run bench:integers [-- name,name] [--threads 1,2] [--rounds 15] [--scheme ort]
import { parseArgs } from 'node:util'
import { compileIntegers, type IntegerNetwork, IntegerSession, SCHEMES, type SchemeName } from '@fewbit/core/integer'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, networksNamed } from './lib/networks.ts'
import { pick, requireData } from './lib/shared-data.ts'
import { feedsOf } from './lib/timing.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '15' },
    scheme: { type: 'string', default: 'ort' },
  },
})
requireData()
// Islands take one thread, so that what is measured is the interpreter.
const engine = nodeEngine({ threads: 1 })
const WARM_UP = 3

interface Spent {
  ms: number
  macs: number
}

/** The network with layers that add what they take to `spent`, by operator. */
function timed(network: IntegerNetwork, spent: Map<string, Spent>): IntegerNetwork {
  const steps = network.steps.map((step) => {
    if (step.kind !== 'layer') return step
    const { built, node } = step
    const run: typeof built.run = (inputs, kernels) => {
      const start = performance.now()
      const made = built.run(inputs, kernels)
      const ms = performance.now() - start
      const size = 'codes' in made ? made.codes.length : made.size
      const own = spent.get(node.opType) ?? { ms: 0, macs: 0 }
      spent.set(node.opType, { ms: own.ms + ms, macs: own.macs + size * (built.sums?.terms ?? 0) })
      return made
    }
    return { ...step, built: { ...built, run } }
  })
  return { ...network, steps }
}

interface Contestant {
  readonly threads: number
  readonly session: IntegerSession
  readonly spent: Map<string, Spent>
  readonly wall: number[]
  readonly cpu: number[]
  /** Of each round, by operator. */
  readonly rounds: Map<string, Spent>[]
}

async function contestantOf(network: IntegerNetwork, threads: number): Promise<Contestant> {
  const spent = new Map<string, Spent>()
  const session = await IntegerSession.open(timed(network, spent), { engine, threads })
  return { threads, session, spent, wall: [], cpu: [], rounds: [] }
}

type Feeds = Parameters<IntegerSession['run']>[0]

async function round({ session, spent, wall, cpu, rounds }: Contestant, feeds: Feeds): Promise<void> {
  spent.clear()
  const [start, before] = [performance.now(), process.cpuUsage()]
  await session.run(feeds)
  const { user, system } = process.cpuUsage(before)
  wall.push(performance.now() - start)
  cpu.push((user + system) / 1000)
  rounds.push(new Map(spent))
}

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0

/** The fastest round of an operator: others that run on the machine only ever add. */
const fastest = (rounds: readonly Map<string, Spent>[], op: string): number =>
  Math.min(...rounds.map((spent) => spent.get(op)?.ms ?? 0))

function report(name: string, contestants: readonly Contestant[]): void {
  const [one] = contestants as [Contestant]
  for (const { threads, wall, cpu, rounds } of contestants) {
    const products = [...(rounds[0] ?? [])].reduce((n, [, { macs }]) => n + macs, 0)
    const ratio = median(wall.map((ms, i) => (one.wall[i] as number) / ms))
    const perCore = products / 1e6 / median(cpu)
    console.log(
      `${name}, ${threads} threads: ${median(wall).toFixed(1)} ms (fastest ${Math.min(...wall).toFixed(1)}), ` +
        `processor ${median(cpu).toFixed(1)} ms, ${perCore.toFixed(2)} GMAC/s per core, ${ratio.toFixed(2)} × one thread`,
    )
    const ops = [...(rounds[0] ?? [])].map(([op, { macs }]) => {
      const ms = fastest(rounds, op)
      return `${op} ${ms.toFixed(1)} ms${macs > 0 ? ` (${(macs / 1e6 / ms).toFixed(1)} GMAC/s)` : ''}`
    })
    console.log(`  ${ops.join(', ')}`)
  }
}

for (const known of networksNamed(positionals)) {
  const float = await loadModel(modelPath(known))
  const data = pick(await known.calibration(float), (i) => i < 8)
  const calibration = { data, samples: 8, observer: 'minmax' }
  const { model } = await quantize(float, { engine, smallLayers: 'integer', calibration })
  const feeds = await feedsOf(float, data, 1)
  if (!feeds) continue
  const network = compileIntegers(model, SCHEMES[values.scheme as SchemeName])
  const contestants = await Promise.all(values.threads.split(',').map((n) => contestantOf(network, Number(n))))
  for (let i = 0; i < WARM_UP; i++) for (const { session } of contestants) await session.run(feeds)
  for (let i = 0; i < Number(values.rounds); i++) for (const contestant of contestants) await round(contestant, feeds)
  report(known.name, contestants)
  for (const { session } of contestants) await session.release()
}
