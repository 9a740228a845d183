// Float against fewbit's int8 with default options, in turn with one session alive at a time.
//   npm run bench:latency [-- name,name] [--rounds 5]
import { parseArgs } from 'node:util'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, networksNamed } from './lib/networks.ts'
import { requireData } from './lib/shared-data.ts'
import { feedsOf, timeInTurn } from './lib/timing.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, budget: { type: 'string', default: '0.3' } },
})
requireData()
const engine = nodeEngine()
const options = { rounds: Number(values.rounds), budget: Number(values.budget) }
for (const network of networksNamed(positionals)) {
  const float = await loadModel(modelPath(network))
  const data = await network.calibration(float)
  const { model } = await quantize(float, { engine, calibration: { data, samples: network.samples } })
  for (const size of [1, 32]) {
    const feeds = await feedsOf(float, data, size)
    if (!feeds) continue
    const [before = 0, after = 0] = await timeInTurn([float, model], feeds, engine, options)
    const ms = [before, after].map((seconds) => ((1000 * seconds) / size).toFixed(3))
    console.log(
      `${network.name} batch ${size}: float ${ms[0]}, int8 ${ms[1]} ms per sample, ratio ${(after / before).toFixed(2)}`,
    )
  }
}
