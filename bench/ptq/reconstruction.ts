// Weights and activations of few bits by rounding and by reconstruction: networks × methods × schemes, in the setting of the papers (target
// `academic`: scales of weights by channel, of activations by tensor; first and last layer in 8 bits).
//   npm run bench:ptq:reconstruction [-- --networks resnet20 --methods rtn,qdrop:iterations=500 --schemes w4a4,w3a4 --threads 1]
// A method may be several algorithms, joined by +. Rows are added to bench/results/ptq-reconstruction.json one by one; those of the same network,
// method and scheme are replaced.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseAlgorithm } from '@fewbit/core/algorithms'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, type Network, networkNamed } from '../lib/networks.ts'
import type { Scores } from '../lib/score.ts'
import { requireData } from '../lib/shared-data.ts'

interface Row {
  readonly network: string
  readonly method: string
  readonly scheme: string
  readonly scores: Scores
  /** Of the algorithms alone. */
  readonly seconds: number
  /** Of all threads, the whole quantization. */
  readonly cpuSeconds: number
}

requireData()
const { values: args } = parseArgs({
  options: {
    networks: { type: 'string', default: 'resnet20,mnist,vww,honk' },
    methods: { type: 'string', default: 'rtn,gptq,coordinate-descent,adaround,brecq,qdrop,adaquant' },
    schemes: { type: 'string', default: 'w4a4,w3a4,w2a4' },
    threads: { type: 'string' },
  },
})
const file = fileURLToPath(new URL('../results/ptq-reconstruction.json', import.meta.url))
const engine = nodeEngine(args.threads ? { threads: Number(args.threads) } : {})

async function run(network: Network, method: string, scheme: string): Promise<Row> {
  const model = await loadModel(modelPath(network))
  const before = process.cpuUsage()
  const { model: quantized, report } = await quantize(model, {
    ...{ engine, target: 'academic', scheme },
    overrides: [{ match: {}, granularity: 'channel' }],
    algorithms: method === 'rtn' ? [] : method.split('+').map((text) => parseAlgorithm(text)),
    calibration: { data: await network.calibration(model), samples: network.samples, observer: 'mse' },
  })
  const { user, system } = process.cpuUsage(before)
  const scores = await network.score(quantized, engine, model)
  const seconds = report.algorithms.reduce((sum, algorithm) => sum + algorithm.seconds, 0)
  return { network: network.name, method, scheme, scores, seconds, cpuSeconds: (user + system) / 1e6 }
}

function save(row: Row): void {
  const rows: Row[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  const others = rows.filter((r) => r.network !== row.network || r.method !== row.method || r.scheme !== row.scheme)
  writeFileSync(file, `${JSON.stringify([...others, row], null, 2)}\n`)
}

/** A method's commas separate its options, so that methods are told apart by the next name. */
const methodsOf = (text: string): string[] => text.split(/,(?=[a-z-]+(?:[:+,]|$))/)

for (const name of args.networks.split(',')) {
  for (const scheme of args.schemes.split(',')) {
    for (const method of methodsOf(args.methods)) {
      const row = await run(networkNamed(name), method, scheme)
      save(row)
      const scores = Object.entries(row.scores).map(([metric, score]) => `${metric} ${score.toFixed(2)}`)
      const times = `${row.seconds.toFixed(0)} s, CPU ${row.cpuSeconds.toFixed(0)} s`
      console.log(`${scheme} ${name} ${method}: ${scores.join(', ')}; ${times}`)
    }
  }
}
