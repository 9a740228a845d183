// Default quantization of every real network: scores before and after against the floors.
//   npm run bench:accuracy [-- name,name] [--json file]
import { writeFileSync } from 'node:fs'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, NETWORKS, type Network } from './lib/networks.ts'
import { missedScores } from './lib/score.ts'
import { requireData } from './lib/shared-data.ts'

requireData()
const args = process.argv.slice(2)
const jsonAt = args.indexOf('--json')
const jsonFile = jsonAt >= 0 ? args[jsonAt + 1] : undefined
const names = (jsonAt >= 0 ? args.toSpliced(jsonAt, 2) : args).flatMap((a) => a.split(','))
const engine = nodeEngine()
const show = (scores: Record<string, number>): string =>
  Object.entries(scores)
    .map(([k, v]) => `${k} ${v.toFixed(k === 'nll' || k === 'auc' ? 4 : 2)}`)
    .join(', ')

async function run(network: Network) {
  const model = await loadModel(modelPath(network))
  const before = await network.score(model, engine)
  const start = performance.now()
  const result = await quantize(model, {
    engine,
    calibration: { data: await network.calibration(model), samples: network.samples },
  })
  const seconds = (performance.now() - start) / 1000
  const after = await network.score(result.model, engine, model)
  const { latency, choice, plan, bytes, slowdown } = result.report
  return {
    name: network.name,
    before,
    after,
    floor: network.floor,
    missed: missedScores(network.floor, after),
    seconds,
    latency,
    choice,
    plan,
    bytes,
    slowdown,
    stages: result.report.seconds,
  }
}

const rows: Awaited<ReturnType<typeof run>>[] = []
for (const network of NETWORKS.filter((n) => names.length === 0 || names.includes(n.name))) {
  const row = await run(network)
  rows.push(row)
  console.log(
    `${row.name}\n  float  ${show(row.before)}\n  int8   ${show(row.after)}${row.missed.length > 0 ? `   BELOW FLOOR: ${row.missed.join(', ')}` : ''}`,
  )
  console.log(
    `  latency ratio ${row.latency?.ratio.toFixed(2)}, ${row.seconds.toFixed(1)} s, observer ${row.choice.observer}, float nodes ${row.choice.floatNodes.length}, size ${row.bytes.before} -> ${row.bytes.after}`,
  )
  if (process.env.VERBOSE) console.log(row.choice.trials, row.plan, row.slowdown, row.stages)
}
if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(rows, null, 2)}\n`)
process.exitCode = rows.some((row) => row.missed.length > 0) ? 1 : 0
