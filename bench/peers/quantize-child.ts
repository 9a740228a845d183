// Quantizes one network with fewbit's defaults in a process of its own and prints what it cost as one line of JSON.
//   tsx --tsconfig tsconfig.tools.json bench/peers/quantize-child.ts network output.onnx
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine, saveModel } from '@fewbit/engine-node'
import { modelPath, networkNamed } from '../lib/networks.ts'

const [name = '', output = ''] = process.argv.slice(2)
const network = networkNamed(name)
const model = await loadModel(modelPath(network))
const data = await network.calibration(model)
const start = performance.now()
const result = await quantize(model, { engine: nodeEngine(), calibration: { data, samples: network.samples } })
await saveModel(result.model, output)
const seconds = (performance.now() - start) / 1000
const peakMegabytes = process.resourceUsage().maxRSS / 1024
const { choice, slowdown, seconds: stages } = result.report
console.log(JSON.stringify({ seconds, peakMegabytes, stages, choice, slowdown }))
