// Quantizing without data beside quantizing with them, on the networks whose file still has BatchNormalization: scores on samples that
// calibration did not see.
//   npm run bench:ptq:data-free [-- --json file]
import { writeFileSync } from 'node:fs'
import { type QuantizeOptions, quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, networkNamed } from '../lib/networks.ts'
import { requireData } from '../lib/shared-data.ts'

requireData()
const jsonAt = process.argv.indexOf('--json')
const jsonFile = jsonAt >= 0 ? process.argv[jsonAt + 1] : undefined
const engine = nodeEngine()
const network = networkNamed('vww')
const model = await loadModel(modelPath(network))
const data = await network.calibration(model)
const analytic = { name: 'bias-correction', options: { method: 'analytic' } }

const WAYS: Readonly<Record<string, Pick<QuantizeOptions, 'calibration' | 'algorithms'>>> = {
  'with data': { calibration: { data, samples: network.samples } },
  'with data, bias-correction': { calibration: { data, samples: network.samples }, algorithms: ['bias-correction'] },
  'data-free': { calibration: { dataFree: { inputRange: [0, 1] } } },
  'data-free, bias-correction:analytic': { calibration: { dataFree: { inputRange: [0, 1] } }, algorithms: [analytic] },
  'data-free, cle, bias-correction:analytic': {
    calibration: { dataFree: { inputRange: [0, 1] } },
    algorithms: ['cle', analytic],
  },
}

const rows = []
for (const perTensor of [false, true]) {
  for (const [way, options] of Object.entries(WAYS)) {
    const { model: quantized, report } = await quantize(model, { engine, perTensor, ...options })
    const scores = await network.score(quantized, engine, model)
    const row = {
      network: network.name,
      target: 'onnxruntime',
      perTensor,
      way,
      scores,
      observer: report.choice.observer,
    }
    rows.push(row)
    console.log(JSON.stringify(row))
  }
}
if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(rows, null, 1)}\n`)
