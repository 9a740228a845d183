// Rounding of weights without training: networks × methods × schemes, every weighted layer quantized, one scale a channel.
//   npm run bench:ptq:weights [-- --networks a,b --methods gptq,adaround --schemes w4,w4a8 --threads 1]
//   npm run bench:ptq:scales  the same for scale-search, alone and before GPTQ
// A method may be several algorithms, joined by +. Rows are added to bench/results/ptq-weights.json, or to the --file given, one by one; those of
// the same network, method and scheme are replaced.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { AlgorithmRequest } from '@fewbit/core/algorithms'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, type Network, networkNamed } from '../lib/networks.ts'
import type { Scores } from '../lib/score.ts'
import { requireData } from '../lib/shared-data.ts'

/** Algorithms whose options are not the default. */
const VARIANTS: Readonly<Record<string, AlgorithmRequest>> = {
  'scale-search:objective=weights': { name: 'scale-search', options: { objective: 'weights' } },
}

interface Row {
  readonly network: string
  readonly method: string
  readonly scheme: string
  readonly scores: Scores
  /** Of the algorithms alone: on the clock, and of all threads of the process. */
  readonly seconds: number
  /** Of the whole quantization, the algorithm included. */
  readonly cpuSeconds: number
}

requireData()
const { values: args } = parseArgs({
  options: {
    networks: { type: 'string', default: 'resnet20,vww,squeezenet,honk,vit,fastestdet,rfdn' },
    methods: { type: 'string', default: 'rtn,gptq,coordinate-descent,adaround' },
    schemes: { type: 'string', default: 'w4,w4a8,w3,w2' },
    threads: { type: 'string' },
    file: { type: 'string', default: 'ptq-weights.json' },
  },
})
const file = fileURLToPath(new URL(`../results/${args.file}`, import.meta.url))
const engine = nodeEngine(args.threads ? { threads: Number(args.threads) } : {})

/** The academic setting, because it quantizes what weighted layers read and nothing else; its 8 bits at the ends are overridden. */
async function run(network: Network, method: string, scheme: string): Promise<Row> {
  const model = await loadModel(modelPath(network))
  const before = process.cpuUsage()
  const { model: quantized, report } = await quantize(model, {
    engine,
    target: 'academic',
    scheme,
    overrides: [{ match: {}, scheme, granularity: 'channel' }],
    algorithms: method === 'rtn' ? [] : method.split('+').map((name) => VARIANTS[name] ?? name),
    calibration: { data: await network.calibration(model), samples: network.samples, observer: 'mse' },
  })
  const { user, system } = process.cpuUsage(before)
  const scores = await network.score(quantized, engine, model)
  const seconds = report.algorithms.reduce((sum, { seconds }) => sum + seconds, 0)
  return { network: network.name, method, scheme, scores, seconds, cpuSeconds: (user + system) / 1e6 }
}

function save(row: Row): void {
  const rows: Row[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  const others = rows.filter((r) => r.network !== row.network || r.method !== row.method || r.scheme !== row.scheme)
  writeFileSync(file, `${JSON.stringify([...others, row], null, 2)}\n`)
}

for (const scheme of args.schemes.split(',')) {
  for (const name of args.networks.split(',')) {
    for (const method of args.methods.split(',')) {
      const row = await run(networkNamed(name), method, scheme)
      save(row)
      const scores = Object.entries(row.scores).map(([k, v]) => `${k} ${v.toFixed(2)}`)
      console.log(
        `${scheme} ${name} ${method}: ${scores.join(', ')}; ${row.seconds.toFixed(1)} s, CPU ${row.cpuSeconds.toFixed(1)} s`,
      )
    }
  }
}
