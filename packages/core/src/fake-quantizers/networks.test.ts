import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { readModel, serializeModel } from '../ir/index.ts'
import { convertQat, type Plugin, prepareQat } from '../pipeline/index.ts'
import { apotLevels } from '../quant/index.ts'
import { TARGETS } from '../targets/index.ts'
import { must } from '../util/index.ts'
import { FAKE_QUANTIZERS, type FakeQuantizerName } from './registry.ts'

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

const NAMES = (Object.keys(FAKE_QUANTIZERS) as FakeQuantizerName[]).filter((name) => name !== 'n2uq' && name !== 'apot')
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
  it.each([...NAMES.map((name) => [name, 'academic'] as const), ['apot', 'apot-4'] as const])(
    'of %s computes what it is converted to on %s',
    async (name, target) => {
      const { roles } = FAKE_QUANTIZERS[name]
      const activations = roles.includes('activation' as never) && name !== 'apot' ? name : 'lsq'
      const qfloat = await prepare(activations, roles.includes('weight' as never) ? name : 'lsq', target)
      expect(qfloat.record.quantizers.map(({ quantizer }) => quantizer.name)).toContain(name)
      readModel(serializeModel(qfloat.model))
      const { conversion } = await convertQat(qfloat, { engine, data, extensions: [withLevels] })
      for (const { value, within } of must(conversion, 'conversion').outputs)
        expect([value, within]).toEqual([value, 1])
    },
  )

  it('refuses what the target cannot hold', async () => {
    await expect(prepare('n2uq', 'lsq', 'academic')).rejects.toThrow(/QAT_OBSTACLE.*thresholds/)
    await expect(prepare('lsq', 'apot', 'academic')).rejects.toThrow(/QAT_OBSTACLE.*stores integers/)
    await expect(prepare('lsq', 'lsq', 'apot-4')).rejects.toThrow(/QAT_OBSTACLE.*evenly spaced/)
    await expect(prepare('lsq', 'lsq', 'fpga-pot')).rejects.toThrow(/QAT_OBSTACLE.*powers of two/)
    expect((await prepare('tqt', 'tqt', 'fpga-pot')).record.quantizers.length).toBeGreaterThan(0)
  })
})
