import { nodeEngine } from '@fewbit/engine-node'
import { faultyEngine, memoryData, PLANTED_FAULTS, plantedInputs, plantedNetwork, plantFloat16 } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import { problem } from '../../util/index.ts'
import { type VerifyOptions, verify } from './verify.ts'

const engine = nodeEngine({ threads: 1 })
const reference = { name: 'good', engine }
const [float, quantized] = [plantedNetwork('float'), plantedNetwork('quantized')]
const run = (other: Engine, more: Partial<VerifyOptions> = {}) =>
  verify(float, quantized, {
    engine,
    engines: [reference, { name: 'other', engine: other }],
    data: memoryData(plantedInputs(4)),
    ...more,
  })
const faulty = (plant: (model: Model) => void) => faultyEngine(engine, plant)

describe('verify', () => {
  it('says that engines agree, and how well the quantized network keeps the float one', async () => {
    const certificate = await run(nodeEngine({ threads: 2 }))
    expect(certificate).toMatchObject({ format: 'fewbit-certificate', verdict: 'agree', reference: 'good' })
    expect(certificate.engines.map(({ name, float: f, quantized: q }) => [name, f.verdict, q.verdict])).toEqual([
      ['good', 'same', 'same'],
      ['other', 'same', 'same'],
    ])
    expect(certificate.fidelity.sqnr).toBeGreaterThan(25)
    expect(certificate.data).toMatchObject({ samples: 4, digest: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(certificate.models.float.digest).not.toBe(certificate.models.quantized.digest)
    expect(JSON.parse(JSON.stringify(certificate)).verdict).toBe('agree')
  })

  it.each(PLANTED_FAULTS)('finds $name in an engine', async ({ node, cause, plant }) => {
    const { verdict, engines } = await run(faulty(plant), { intermediate: true })
    expect(verdict).toBe('disagree')
    const parting = engines[1]?.quantized.parting
    expect(parting?.node).toBe(node)
    if (cause) expect(parting?.causes.map(({ name }) => name)).toContain(cause)
    // Pads and clips are those of the float network, too.
    if (['conv1', 'clip1'].includes(node))
      expect(engines[1]?.float).toMatchObject({ verdict: 'differs', parting: { node } })
  })

  it('finds float networks whose sums are kept in half precision', async () => {
    const { engines } = await run(faulty(plantFloat16('conv2')), { intermediate: true })
    expect(engines[1]?.float).toMatchObject({ verdict: 'differs', parting: { node: 'conv2' } })
    expect(engines[1]?.float.parting?.causes.map(({ name }) => name)).toContain('reduced-precision')
  })

  it.each(['sums in float16', 'sums in bfloat16'])(
    'tells %s from other rounding in quantized networks',
    async (name) => {
      const plant = PLANTED_FAULTS.find((fault) => fault.name === name)?.plant ?? (() => undefined)
      const { engines } = await run(faulty(plant), { intermediate: true })
      const causes = engines[1]?.quantized.parting?.causes.map((cause) => cause.name) ?? []
      expect(causes).toEqual(expect.arrayContaining(['rounding', 'reduced-precision']))
      // Ties, too, move single codes, but sums are what they were.
      const ties = PLANTED_FAULTS.find((fault) => fault.name === 'ties that go up')?.plant ?? (() => undefined)
      const moved = (await run(faulty(ties), { intermediate: true })).engines[1]?.quantized.parting?.causes.map(
        (cause) => cause.name,
      )
      expect(moved).toContain('rounding')
      expect(moved).not.toContain('reduced-precision')
    },
  )

  it('does not call single codes of float arithmetic a disagreement', async () => {
    const { verdict, engines } = await run(engine, {
      engines: [reference, { name: 'float arithmetic', engine, load: { optimization: 'simulate' } }],
      intermediate: true,
    })
    expect(verdict).toBe('agree')
    expect(engines[1]?.quantized.layers?.length).toBe(8)
  })

  it('says which engine cannot run a network, and goes on', async () => {
    const lacking: Engine = {
      ...engine,
      load: async () => {
        throw problem('ENGINE_LOAD', 'Could not find an implementation for QLinearConv(10)')
      },
    }
    const engines = [reference, { name: 'lacking', engine: lacking }, { name: 'other', engine }]
    const certificate = await run(engine, { engines })
    expect(certificate.verdict).toBe('disagree')
    expect(certificate.engines[1]?.quantized).toMatchObject({ verdict: 'failed', failure: { cause: 'missing-kernel' } })
    expect(certificate.engines[2]?.quantized.verdict).toBe('same')
    await expect(run(engine, { engines: [] })).rejects.toThrow(/VERIFY_ENGINES/)
  })
})
