// What rewriting the float network gains with one scale for each weight tensor, and what each rewrite does to the float outputs.
//   npm run bench:ptq:equalization [-- name,name] [--algorithms cle+bias-absorption]… [--json file]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, NETWORKS, type Network } from '../lib/networks.ts'
import { requireData } from '../lib/shared-data.ts'

requireData()
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, algorithms: { type: 'string', multiple: true } },
})
const names = positionals.flatMap((a) => a.split(','))
const engine = nodeEngine()

/** The data-free quantization of Nagel 2019 piece by piece, then the other rewrites one at a time. */
const RECIPES: readonly (readonly string[])[] = [
  [],
  ['cle'],
  ['cle', 'bias-absorption'],
  ['bias-correction'],
  ['cle', 'bias-absorption', 'bias-correction'],
  ['activation-equalization'],
  ['smoothquant'],
  ['weight-split'],
  ['channel-split'],
  ['scale-folding'],
]

async function run(network: Network, algorithms: readonly string[]) {
  const model = await loadModel(modelPath(network))
  const { model: quantized, report } = await quantize(model, {
    engine,
    target: 'onnxruntime',
    perTensor: true,
    calibration: { data: await network.calibration(model), samples: network.samples, observer: 'minmax' },
    algorithms,
  })
  const scores = await network.score(quantized, engine, model)
  const rewrites = report.algorithms.map(({ name, changed, deviation, undone, seconds }) => {
    return { name, changed, ...(deviation === undefined ? {} : { deviation }), ...(undone ? { undone } : {}), seconds }
  })
  return { network: network.name, algorithms, scores, rewrites }
}

const show = (scores: Readonly<Record<string, number>>): string =>
  Object.entries(scores)
    .map(([key, value]) => `${key} ${value.toFixed(2)}`)
    .join(', ')

const recipes = values.algorithms?.map((list) => list.split('+').filter(Boolean)) ?? RECIPES
const rows: Awaited<ReturnType<typeof run>>[] = []
for (const network of NETWORKS.filter((n) => names.length === 0 || names.includes(n.name))) {
  for (const algorithms of recipes) {
    const row = await run(network, algorithms)
    rows.push(row)
    const moved = row.rewrites.map(({ name, changed, deviation, undone }) => {
      const outputs = deviation === undefined ? '' : `, float outputs moved by ${deviation.toExponential(1)}`
      return `${name}: ${changed} nodes${outputs}${undone ? ', UNDONE' : ''}`
    })
    console.log(`${network.name}  ${algorithms.join(' + ') || 'nothing'}: ${show(row.scores)}  [${moved.join('; ')}]`)
  }
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
