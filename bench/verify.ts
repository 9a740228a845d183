// Verifies every network, quantized by one observer without a search, on several engines.
//   npm run bench:verify [-- name,name] [--engines node-cpu,wasm,integer:ort] [--samples 8] [--intermediate]
// Prints one line for each network and engine, and how long verifying took, quantizing left out, with the processor's time, which other work on
// the machine does not change. Exits with 1 where engines disagree.
import { parseArgs } from 'node:util'
import { planModel, quantize, verify } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { openEngines } from '../packages/cli/src/engines/index.ts'
import { differenceText, partingText } from '../packages/cli/src/render/parting.ts'
import { modelPath, type Network, networksNamed } from './lib/networks.ts'
import { requireData } from './lib/shared-data.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: 'node-cpu,wasm,integer:ort' },
    samples: { type: 'string', default: '8' },
    intermediate: { type: 'boolean', default: false },
  },
})
requireData()
const engine = nodeEngine()
const { engines, close } = await openEngines(values.engines.split(','))
let [total, cpu, disagree] = [0, 0, 0]

async function check(network: Network): Promise<void> {
  const model = await loadModel(modelPath(network))
  const data = await network.calibration(model)
  const plan = { engine, smallLayers: 'integer' } as const
  const calibration = { data, samples: Math.min(32, network.samples), observer: 'mse' }
  const { model: quantized } = await quantize(model, { ...plan, calibration })
  const { float } = await planModel(model, plan)
  const [start, before] = [performance.now(), process.cpuUsage()]
  const { samples, intermediate } = values
  const result = await verify(float, quantized, { engine, engines, data, samples: Number(samples), intermediate })
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(before)
  total += seconds
  cpu += (user + system) / 1e6
  if (result.verdict === 'disagree') disagree++
  console.log(
    `${network.name}: ${result.verdict}, ${seconds.toFixed(1)} s, ${((user + system) / 1e6).toFixed(1)} s of the processor`,
  )
  for (const outcome of result.engines) {
    for (const kind of ['float', 'quantized'] as const) {
      const { verdict, outputs, parting, failure } = outcome[kind]
      if (!outputs && !failure) continue
      console.log(`  ${outcome.name}, ${kind}: ${verdict}; ${outputs ? differenceText(outputs) : failure?.message}`)
      if (parting)
        console.log(
          partingText(parting)
            .map((line) => `    ${line}`)
            .join('\n'),
        )
    }
  }
}

for (const network of networksNamed(positionals)) {
  await check(network).catch((error: Error) => console.log(`${network.name}: ${error.message}`))
}
await close()
console.log(`verified in ${total.toFixed(1)} s, ${cpu.toFixed(1)} s of the processor`)
process.exitCode = disagree > 0 ? 1 : 0
