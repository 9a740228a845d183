import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, readModel, serializeModel } from '../ir/index.ts'
import { convertQat, type Plugin, prepareQat } from '../pipeline/index.ts'
import { qatTrainable, readQFloat } from '../qat/index.ts'
import { apotLevels } from '../quant/index.ts'
import { TARGETS } from '../targets/index.ts'
import { must } from '../util/index.ts'

const engine = nodeEngine({ threads: 1 })
const network = fixture('convolutional')
const data = memoryData(normalData({ x: [1, 3, 8, 8] }, 8))

const { academic } = TARGETS
const format = { kind: 'levels', levels: apotLevels(4, { signed: true }) } as const
const withLevels: Plugin = {
  name: 'apot',
  targets: [
    {
      ...academic,
      name: 'apot-4',
      weights: { ...academic.weights, bits: 4, format },
      kernels: { ...academic.kernels, weights: ['uint4'] },
      defaultScheme: 'w4a8',
      edgeBits: 4,
    },
  ],
}

const prepare = (fakeQuantizer: string, weightQuantizer: string, target: string) =>
  prepareQat(network, {
    engine,
    target,
    extensions: [withLevels],
    calibration: { data },
    fakeQuantizer,
    weightQuantizer,
  })

describe('a network with fake-quantizers', () => {
  it('of tables of levels computes what it is converted to, on a target that has them', async () => {
    const qfloat = await prepare('lsq', 'apot', 'apot-4')
    expect(qfloat.record.quantizers.map(({ quantizer }) => quantizer.name)).toContain('apot')
    const { model, record } = readQFloat(readModel(serializeModel(qfloat.model)))
    const { conversion } = await convertQat({ model, record }, { engine, data, extensions: [withLevels] })
    for (const { value, within } of must(conversion, 'conversion').outputs) expect([value, within]).toEqual([value, 1])
  })

  it('rounds softly while it trains, and hard in evaluation', async () => {
    const qfloat = await prepare('qdrop', 'soft-rounding', 'academic')
    const hardness = (model: Model) =>
      [...model.graph.nodes].flatMap((node) => node.attributes.get('hard')?.value ?? []).map(Number)
    const { model, random } = qatTrainable(qfloat)
    expect([new Set(hardness(qfloat.model)), new Set(hardness(model))]).toEqual([new Set([1]), new Set([0])])
    expect(random?.length).toBeGreaterThan(0)
  })

  it('refuses what the target cannot hold', async () => {
    await expect(prepare('n2uq', 'lsq', 'academic')).rejects.toThrow(/QAT_OBSTACLE.*thresholds/)
    await expect(prepare('apot', 'apot', 'onnxruntime')).rejects.toThrow(/QAT_OBSTACLE.*stores integers[\s\S]*academic/)
    await expect(prepare('lsq', 'lsq', 'apot-4')).rejects.toThrow(/QAT_OBSTACLE.*evenly spaced/)
    await expect(prepare('lsq:scale=real', 'lsq', 'fpga-pot')).rejects.toThrow(/QAT_OBSTACLE.*powers of two/)
    for (const name of ['lsq', 'tqt'])
      expect((await prepare(name, name, 'fpga-pot')).record.quantizers.length).toBeGreaterThan(0)
  })
})
