import { existsSync } from 'node:fs'
import { type Feeds, probeModel } from '@fewbit/core/engine'
import { compileIntegers, type IntegerNetwork, IntegerSession, SCHEMES } from '@fewbit/core/integer'
import { graphValues, type Model } from '@fewbit/core/ir'
import { quantize } from '@fewbit/core/pipeline'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { beforeAll, describe, expect, it } from 'vitest'
import { modelPath, networkNamed } from '../../bench/lib/networks.ts'
import { DATA, pick } from '../../bench/lib/shared-data.ts'

const engine = nodeEngine({ threads: 1 })

interface Case {
  readonly quantized: Model
  readonly network: IntegerNetwork
  readonly sample: Feeds
}

async function caseOf(name: string): Promise<Case> {
  const known = networkNamed(name)
  const float = await loadModel(modelPath(known))
  const data = pick(await known.calibration(float), (i) => i < 2)
  const calibration = { data, samples: 2, observer: 'minmax' }
  const { model } = await quantize(float, { engine, smallLayers: 'integer', calibration })
  for await (const { feeds } of data.samples()) {
    return { quantized: model, network: compileIntegers(model, SCHEMES.ort), sample: feeds }
  }
  throw new Error('no samples')
}

/** For the codes of each layer, the value of the quantized network that shows them dequantized. */
function shown(quantized: Model, { steps }: IntegerNetwork): Map<string, string> {
  const present = new Set([...graphValues(quantized.graph)].map(({ name }) => name))
  const pairs = steps.flatMap((step) =>
    step.kind === 'layer' ? [[step.makes.name, step.makes.name.replace(/_quantized$/, '_dequantized')] as const] : [],
  )
  return new Map(pairs.filter(([codes, real]) => codes !== real && present.has(real)))
}

const NODES = { resnet20: 27, vww: 28, squeezenet: 26 }

describe.skipIf(!existsSync(DATA)).each(['resnet20', 'vww', 'squeezenet'] as const)('%s in whole numbers', (name) => {
  let cx: Case
  beforeAll(async () => {
    cx = await caseOf(name)
  }, 120_000)

  it('runs all its convolutions without float', () => {
    const layers = cx.network.steps.filter((step) => step.kind === 'layer')
    expect(layers.length).toBeGreaterThanOrEqual(NODES[name])
    expect(cx.network.floats.filter(({ opType }) => /Conv|Gemm|MatMul|Pool$/.test(opType))).toHaveLength(
      name === 'squeezenet' ? 1 : 0,
    )
  })

  it('gives the codes of every layer and the outputs that ONNX Runtime gives', async () => {
    const names = shown(cx.quantized, cx.network)
    expect(names.size).toBeGreaterThanOrEqual(NODES[name])
    const session = await IntegerSession.open(cx.network, { engine })
    const { layers, outputs } = await session.run(cx.sample, true)
    const probed = await engine.load(probeModel(cx.quantized, [...names.values()]), { optimization: 'all' })
    const seen = await probed.run(cx.sample)
    for (const [codes, real] of names) {
      const grid = cx.network.steps.flatMap((s) => (s.kind === 'layer' && s.makes.name === codes ? [s.grid] : []))[0]
      const got = layers.get(codes)?.codes
      const want = seen[real]?.numbers() ?? []
      expect(got?.length).toBe(want.length)
      const differences = got?.filter(
        (code, i) => Math.fround((code - (grid?.zeroPoint ?? 0)) * (grid?.scale ?? 0)) !== want[i],
      )
      expect({ [codes]: differences?.length }).toEqual({ [codes]: 0 })
    }
    const whole = await engine.load(cx.quantized, { optimization: 'all' })
    const want = await whole.run(cx.sample)
    for (const [output, tensor] of Object.entries(outputs)) expect(tensor.numbers()).toEqual(want[output]?.numbers())
  })
})
