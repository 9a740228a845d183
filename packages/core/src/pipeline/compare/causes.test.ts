import { nodeEngine } from '@fewbit/engine-node'
import { faultyEngine, memoryData, newModel, PLANTED_FAULTS, plantedInputs, plantedNetwork } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Engine, Feeds } from '../../engine/index.ts'
import { integerEngine, SCHEMES } from '../../integer/index.ts'
import { attribute, type Model, Tensor, tensorType, type Value } from '../../ir/index.ts'
import { roundHalfEven } from '../../util/index.ts'
import { type VerifiedEngine, verify } from '../verify/verify.ts'

const engine = nodeEngine({ threads: 1 })
const exact: VerifiedEngine = { name: 'exact', engine: integerEngine(SCHEMES.ort, engine) }
const pairs: VerifiedEngine = { name: 'pairs', engine: integerEngine(SCHEMES['ort-pairs'], engine) }

/** The quantized network on two engines: what is said of the second. */
async function outcome(model: Model, engines: readonly VerifiedEngine[], feeds: readonly Feeds[]) {
  const certificate = await verify(model, model, { engine, engines, data: memoryData(feeds), intermediate: true })
  return certificate.engines[1]?.quantized
}

const ROWS = 8
const TERMS = 16
const OUTPUTS = 12
const [X_STEP, W_STEP, Y_STEP] = [1 / 16, 1 / 128, 1]
/** A code of a sample: all of them occur. */
const inputCode = (i: number): number => (i * 89) % 256
/** Codes of both signs up to a largest one, so that saturation makes some sums smaller and others larger. */
const weightCode = (i: number, most: number): number => (((i * 37) % 11) % 2 ? -1 : 1) * (most - ((i * 53) % 40))

/** A product of u8 and s8 between quantizers. */
function product(most: number): Model {
  const { model, b } = newModel(17)
  const quantizer = (value: Value, name: string, step: number, zero: number, output?: string): Value => {
    const params = [
      b.constant(`${name}_scale`, Tensor.float32([], [step])),
      b.constant(`${name}_zero`, Tensor.fromStorage('uint8', [], Uint8Array.of(zero))),
    ]
    const codes = b.op('QuantizeLinear', [value, ...params], {}, { name: `${name}_q` })
    return b.op('DequantizeLinear', [codes, ...params], {}, { name: `${name}_dq`, ...(output && { output }) })
  }
  const x = quantizer(b.input('x', tensorType('float32', [ROWS, TERMS])), 'x', X_STEP, 0)
  const codes = Int8Array.from({ length: TERMS * OUTPUTS }, (_, i) => weightCode(i, most))
  const weight = b.constant('w', Tensor.fromStorage('int8', [TERMS, OUTPUTS], codes))
  const params = [b.constant('w_scale', Tensor.float32([], [W_STEP]))]
  params.push(b.constant('w_zero', Tensor.fromStorage('int8', [], Int8Array.of(0))))
  const w = b.op('DequantizeLinear', [weight, ...params], {}, { name: 'w_dq' })
  const made = b.op('MatMul', [x, w], {}, { name: 'product', output: 'product_out' })
  b.output(quantizer(made, 'y', Y_STEP, 128, 'y')).type = tensorType('float32', [ROWS, OUTPUTS])
  return model
}

const codesFed: Feeds = {
  x: Tensor.float32(
    [ROWS, TERMS],
    Array.from({ length: ROWS * TERMS }, (_, i) => inputCode(i) * X_STEP),
  ),
}

/** How many codes vpmaddubsw gets wrong, and by how many steps at most: Intel's definition of the instruction, by hand. */
function byHand(most: number): { differing: number; worst: number } {
  const clamp16 = (p: number) => Math.max(-32768, Math.min(32767, p))
  const code = (sum: number) => Math.max(0, Math.min(255, roundHalfEven((sum * X_STEP * W_STEP) / Y_STEP) + 128))
  const steps = Array.from({ length: ROWS * OUTPUTS }, (_, at) => {
    const [row, column] = [Math.floor(at / OUTPUTS), at % OUTPUTS]
    const term = (k: number) => inputCode(row * TERMS + k) * weightCode(k * OUTPUTS + column, most)
    let [sum, saturated] = [0, 0]
    for (let k = 0; k < TERMS; k += 2) {
      sum += term(k) + term(k + 1)
      saturated += clamp16(term(k) + term(k + 1))
    }
    return Math.abs(code(sum) - code(saturated))
  })
  return { differing: steps.filter((step) => step > 0).length, worst: Math.max(...steps) }
}

describe('int16-saturation', () => {
  it('is named where pairs of products leave 16 bits, by as many codes as the instruction gets wrong', async () => {
    const found = await outcome(product(127), [exact, pairs], [codesFed])
    const expected = byHand(127)
    expect(expected.worst).toBeGreaterThan(1)
    expect(found).toMatchObject({ verdict: 'differs', parting: { node: 'product', alone: expected } })
    expect(found?.parting?.causes).toEqual([
      { name: 'int16-saturation', text: expect.stringMatching(/saturate in 16 bits on this engine/) },
    ])
  })

  it('is laid to the reference where that saturates', async () => {
    const found = await outcome(product(127), [pairs, { name: 'node', engine: exact.engine }], [codesFed])
    expect(found?.parting?.causes).toEqual([
      { name: 'int16-saturation', text: expect.stringMatching(/on the reference/) },
    ])
  })

  it('does not occur with weights of 7 bits', async () => {
    expect(byHand(63)).toEqual({ differing: 0, worst: 0 })
    expect((await outcome(product(63), [exact, pairs], [codesFed]))?.verdict).toBe('same')
  })

  it('is not named for another fault in a layer whose weights could saturate', async () => {
    const scaled = faultyEngine(exact.engine, ({ graph }) => {
      const node = [...graph.nodes].find(({ name }) => name === 'product')
      if (node) node.setInput(1, graph.addInitializer('other', otherWeight()))
    })
    const found = await outcome(product(127), [exact, { name: 'other', engine: scaled }], [codesFed])
    expect(found?.parting?.node).toBe('product')
    expect(found?.parting?.causes.map(({ name }) => name)).not.toContain('int16-saturation')
  })
})

/** Weights of one sign alone, in float. */
const otherWeight = (): Tensor =>
  Tensor.float32(
    [TERMS, OUTPUTS],
    Array.from({ length: TERMS * OUTPUTS }, (_, i) => Math.abs(weightCode(i, 127)) * W_STEP),
  )

describe('fused-rounding', () => {
  const quantized = plantedNetwork('quantized')
  // Its scales are powers of two, so that sums often fall on ties, which LiteRT's fixed-point factors take away from zero.
  const away: VerifiedEngine = { name: 'away', engine: integerEngine(SCHEMES.tflite, engine) }
  const even: VerifiedEngine = { name: 'even', engine }

  it('is named where kernels that are fused with their quantizers round otherwise', async () => {
    const found = await outcome(quantized, [even, away], plantedInputs(4))
    expect(found?.verdict).toBe('differs')
    const text = found?.parting?.causes.find(({ name }) => name === 'fused-rounding')?.text
    expect(text).toMatch(/vanishes where this engine does not fuse/)
    const reversed = await outcome(quantized, [away, even], plantedInputs(4))
    const other = reversed?.parting?.causes.find(({ name }) => name === 'fused-rounding')?.text
    expect(other).toMatch(/vanishes where the reference does not fuse/)
  })

  it('is seen on ONNX Runtime, whose fused convolution reads scales along the first axis whatever their axis is', async () => {
    const model = plantedNetwork('quantized')
    const dequantizer = [...model.graph.nodes].find(({ inputs }) => inputs[0]?.name === 'conv3_weight')
    dequantizer?.attributes.set('axis', attribute.int(1))
    const floats: VerifiedEngine = { name: 'float', engine, load: { optimization: 'simulate' } }
    const found = await outcome(model, [floats, even], plantedInputs(4))
    expect(found?.parting?.causes.map(({ name }) => name)).toContain('fused-rounding')
  })

  it.each(PLANTED_FAULTS)('is not named for $name, which stays without fusion', async ({ plant }) => {
    const faulty: Engine = faultyEngine(engine, plant)
    const found = await outcome(quantized, [even, { name: 'faulty', engine: faulty }], plantedInputs(2))
    expect(found?.parting?.causes.map(({ name }) => name)).not.toContain('fused-rounding')
  })
})
