// Every backend's w8a8 with default options on real networks: scores of the float network and of the quantized one, the latter
// simulated unless ONNX Runtime itself is the backend.
//   npm run bench:targets [-- --network resnet20,vww] [--target tflite,snpe] [--json bench/results/targets.json]
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { quantize } from '@fewbit/core/pipeline'
import type { Target } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { FewbitError } from '@fewbit/core/util'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, NETWORKS, type Network } from './lib/networks.ts'
import { requireData } from './lib/shared-data.ts'
import type { TargetRow } from './lib/target-row.ts'

const DEFAULT_NETWORKS = 'resnet20,honk,squeezenet,vww'

requireData()
const { values } = parseArgs({
  options: { network: { type: 'string' }, target: { type: 'string' }, json: { type: 'string' } },
})
const wanted = (list: string | undefined, name: string): boolean => !list || list.split(',').includes(name)
const engine = nodeEngine()
const rows = new Map<string, TargetRow>()
if (values.json && existsSync(values.json)) {
  for (const row of JSON.parse(readFileSync(values.json, 'utf8')) as TargetRow[]) rows.set(keyOf(row), row)
}

function keyOf({ target, network }: TargetRow): string {
  return `${target} ${network}`
}

async function measure(network: Network, target: Target): Promise<TargetRow> {
  const model = await loadModel(modelPath(network))
  const name = { target: target.name, network: network.name }
  const start = performance.now()
  try {
    const data = await network.calibration(model)
    const result = await quantize(model, {
      engine,
      target: target.name,
      calibration: { data, samples: network.samples },
    })
    const seconds = (performance.now() - start) / 1000
    const [float, quantized] = [await network.score(model, engine), await network.score(result.model, engine, model)]
    const { plan, choice } = result.report
    return {
      ...name,
      scheme: result.plan.scheme,
      float,
      quantized,
      ...(plan.integerShare === undefined ? {} : { integerShare: plan.integerShare }),
      observer: choice.observer,
      floatNodes: choice.floatNodes.length,
      seconds,
    }
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error
    return { ...name, refused: error.message }
  }
}

const show = (scores: Readonly<Record<string, number>> = {}): string =>
  Object.entries(scores)
    .map(([k, v]) => `${k} ${v.toFixed(2)}`)
    .join(', ')

for (const network of NETWORKS.filter(({ name }) => wanted(values.network ?? DEFAULT_NETWORKS, name))) {
  for (const target of Object.values<Target>(TARGETS).filter(({ name }) => wanted(values.target, name))) {
    const row = await measure(network, target)
    rows.set(keyOf(row), row)
    const text = row.refused ?? `${show(row.quantized)} (float ${show(row.float)}), ${row.seconds?.toFixed(1)} s`
    console.log(`${row.network.padEnd(12)} ${row.target.padEnd(20)} ${text}`)
    if (values.json) writeFileSync(values.json, `${JSON.stringify([...rows.values()], null, 2)}\n`)
  }
}
