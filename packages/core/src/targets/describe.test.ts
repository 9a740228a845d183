import { describe, expect, it } from 'vitest'
import { describeTarget } from './describe.ts'
import { onnxruntime } from './onnxruntime.ts'

describe('describeTarget', () => {
  it('says what the table says', () => {
    const { facts, operators, fusions } = describeTarget({
      ...onnxruntime,
      activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor', powerOfTwo: 'ceil' },
      bias: { bits: 8, scale: 'own' },
      rounding: 'half-away',
      reciprocal: true,
      points: 'inputs',
    })
    const fact = Object.fromEntries(facts)
    expect(fact.activations).toBe('int8 symmetric -127…127, one scale, a power of two (log2 rounded up)')
    expect(fact.weights).toBe('int8 symmetric -127…127, one scale for each channel')
    expect(fact.bias).toBe('8 bits, a scale of its own')
    expect(fact.arithmetic).toBe('values are multiplied by 1/scale, rounded half-away, before the zero point is added')
    expect(fact.quantizers).toMatch(/^at what quantized nodes read only/)
    expect(operators.find(({ types }) => types.includes('Gemm'))?.rule).toBe(
      'integer kernel; alpha = 1; beta = 1; result may stay in float',
    )
    expect(operators.find(({ types }) => types.includes('MaxPool'))?.types).toContain('Reshape')
    expect(fusions[0]).toMatchObject({ chain: 'Relu' })
  })
})
