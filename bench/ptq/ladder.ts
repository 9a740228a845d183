// The ladder on every classification network: does --max-drop 0.5 reach its floor, by which rung, and at what cost?
//   npm run bench:ptq:ladder [-- --network resnet20,vww] [--target snpe,tvm] [--scheme w8a8] [--json bench/results/ptq-ladder.json]
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Engine, LoadOptions } from '@fewbit/core/engine'
import { climb } from '@fewbit/core/pipeline'
import { FewbitError } from '@fewbit/core/util'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { modelPath, NETWORKS, type Network } from '../lib/networks.ts'
import { requireData } from '../lib/shared-data.ts'

/** Networks whose score is the share of right classes, in percent. */
const CLASSIFIERS = 'mnist,resnet20,vit,vww,honk,squeezenet'
const TARGETS = 'onnxruntime,tensorrt,snpe,tvm'
const MAX_DROP = 0.5

interface Row {
  readonly network: string
  readonly target: string
  readonly scheme: string
  readonly float?: number
  readonly met?: boolean
  readonly seconds?: number
  readonly trials?: readonly {
    rung: string
    what: string
    score?: number
    seconds: number
    integerShare?: number
    best: boolean
  }[]
  readonly refused?: string
}

requireData()
const { values } = parseArgs({
  options: {
    network: { type: 'string', default: CLASSIFIERS },
    target: { type: 'string', default: TARGETS },
    scheme: { type: 'string', default: 'w8a8' },
    json: { type: 'string' },
  },
})
const engine = nodeEngine()
const rows = new Map<string, Row>()
const keyOf = ({ network, target, scheme }: Row): string => `${network} ${target} ${scheme}`
if (values.json && existsSync(values.json)) {
  for (const row of JSON.parse(readFileSync(values.json, 'utf8')) as Row[]) rows.set(keyOf(row), row)
}

/** The engine with the options that a quantized network has to be loaded with. */
const loading = (load: LoadOptions): Engine => ({
  ...engine,
  load: (model, options) => engine.load(model, { ...load, ...options }),
})

async function measure(network: Network, target: string, scheme: string): Promise<Row> {
  const model = await loadModel(modelPath(network))
  const name = { network: network.name, target, scheme }
  const start = performance.now()
  try {
    const { ladder } = await climb(model, {
      ...{ engine, target, scheme, maxDrop: { units: MAX_DROP } },
      calibration: { data: await network.calibration(model), samples: network.samples },
      metric: {
        name: 'top1',
        higherIsBetter: true,
        score: async (candidate, load) => (await network.score(candidate, loading(load))).top1 ?? Number.NaN,
      },
    })
    const { float, met, trials, best } = ladder
    const brief = trials.map(({ rung, what, score, seconds, integerShare }, i) => ({
      ...{ rung, what, seconds, best: i === best },
      ...(score === undefined ? {} : { score }),
      ...(integerShare === undefined ? {} : { integerShare }),
    }))
    return { ...name, float, met, seconds: (performance.now() - start) / 1000, trials: brief }
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error
    return { ...name, refused: error.message }
  }
}

function show({ network, target, float, met, seconds = 0, trials = [], refused }: Row): void {
  if (refused !== undefined) {
    console.log(`${network} ${target}: ${refused.split('\n')[0]}`)
    return
  }
  console.log(
    `${network} ${target}: float ${float?.toFixed(2)}, floor ${met ? 'met' : 'MISSED'} in ${seconds.toFixed(1)} s`,
  )
  for (const { rung, what, score, seconds: s, integerShare, best } of trials) {
    const share = integerShare === undefined ? '' : `, ${(100 * integerShare).toFixed(1)} % of MACs in integers`
    console.log(`  ${best ? '*' : ' '} ${rung}: ${what}: ${score?.toFixed(2) ?? 'failed'} (${s.toFixed(1)} s${share})`)
  }
}

for (const network of NETWORKS.filter(({ name }) => values.network.split(',').includes(name))) {
  for (const target of values.target.split(',')) {
    const row = await measure(network, target, values.scheme)
    rows.set(keyOf(row), row)
    show(row)
    if (values.json) writeFileSync(values.json, `${JSON.stringify([...rows.values()], null, 2)}\n`)
  }
}
