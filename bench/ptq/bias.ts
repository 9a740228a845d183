// What bias correction and re-estimation of BatchNormalization bring: SQNR of the outputs on calibration samples (`sqnr`), and scores on samples that
// calibration did not see.
//   npm run bench:ptq:bias [-- name,name] [--json file]
import { writeFileSync } from 'node:fs'
import { type QuantizeOptions, quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, NETWORKS, type Network } from '../lib/networks.ts'
import { requireData } from '../lib/shared-data.ts'

requireData()
const args = process.argv.slice(2)
const jsonAt = args.indexOf('--json')
const jsonFile = jsonAt >= 0 ? args[jsonAt + 1] : undefined
const names = (jsonAt >= 0 ? args.toSpliced(jsonAt, 2) : args).flatMap((a) => a.split(','))
const engine = nodeEngine()

const SETTINGS: Readonly<Record<string, Partial<QuantizeOptions>>> = {
  'w8a8, one scale a weight': { scheme: 'w8a8', perTensor: true },
  'w8a8, a scale a channel': { scheme: 'w8a8', overrides: perChannel() },
  'w4a8, one scale a weight': { scheme: 'w4a8', perTensor: true },
  'w4a8, a scale a channel': { scheme: 'w4a8', overrides: perChannel() },
}

function perChannel() {
  return ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'].map((op) => ({ match: { op }, granularity: 'channel' as const }))
}

const METHODS: Readonly<Record<string, QuantizeOptions['algorithms']>> = {
  none: [],
  'bias-correction': ['bias-correction'],
  'all at once': [{ name: 'bias-correction', options: { sequential: false } }],
  'batchnorm-reestimation': ['batchnorm-reestimation'],
}

const analytic = { name: 'bias-correction', options: { method: 'analytic' } }
const CHAINS: Readonly<Record<string, QuantizeOptions['algorithms']>> = {
  'bias-correction:analytic': [analytic],
  cle: ['cle'],
  'cle, bias-correction': ['cle', 'bias-correction'],
  'cle, bias-correction:analytic': ['cle', analytic],
}

async function measured(network: Network) {
  const model = await loadModel(modelPath(network))
  const data = await network.calibration(model)
  const rows = []
  for (const [setting, options] of Object.entries(SETTINGS)) {
    const methods = network.name === 'vww' ? { ...METHODS, ...CHAINS } : METHODS
    for (const [method, algorithms] of Object.entries(methods)) {
      const shared = { ...options, ...(algorithms ? { algorithms } : {}) }
      const calibration = { data, samples: network.samples, observer: 'mse' }
      const { report, model: quantized } = await quantize(model, { engine, target: 'academic', calibration, ...shared })
      const scores = await network.score(quantized, engine, model)
      const record = report.algorithms.at(-1)
      const row = {
        ...{ network: network.name, setting, method, sqnr: report.fidelity.metrics.sqnr, scores },
        ...(record ? { changed: record.changed, seconds: record.seconds, undone: record.undone ?? false } : {}),
      }
      rows.push(row)
      console.log(JSON.stringify(row))
    }
  }
  return rows
}

const rows: Awaited<ReturnType<typeof measured>> = []
for (const network of NETWORKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  rows.push(...(await measured(network)))
  if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(rows, null, 1)}\n`)
}
