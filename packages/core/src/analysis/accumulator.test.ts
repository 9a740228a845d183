import { describe, expect, it } from 'vitest'
import { perChannel, perTensor, type QuantParams, quantSpec } from '../quant/index.ts'
import { accumulatorReport } from './accumulator.ts'

const weight = (bits: number, scales: number): QuantParams => ({
  spec: quantSpec({ bits, signed: true, symmetric: true, narrow: true }, perChannel(0)),
  scale: new Array(scales).fill(1),
  zeroPoint: new Array(scales).fill(0),
})

const input = (bits: number, zeroPoint: number): QuantParams => ({
  spec: quantSpec({ bits, signed: false, symmetric: false }, perTensor()),
  scale: [1],
  zeroPoint: [zeroPoint],
})

/** Every combination of input codes. */
function* codes(length: number, bits: number): Generator<number[]> {
  for (let n = 0; n < 2 ** (bits * length); n++) {
    yield Array.from({ length }, (_, i) => (n >> (bits * i)) & (2 ** bits - 1))
  }
}

describe('accumulatorReport', () => {
  it.each([0, 2, 3])('finds the largest sum that any input makes, with zero point %i', (zero) => {
    const w = [
      [3, -7, 1],
      [-2, 5, 6],
    ]
    let largest = 0
    for (const row of w) {
      for (const x of codes(3, 2))
        largest = Math.max(largest, Math.abs(row.reduce((s, v, i) => s + v * ((x[i] as number) - zero), 0)))
    }
    const report = accumulatorReport({
      input: input(2, zero),
      weight: weight(4, 2),
      values: w.flat(),
      dims: [2, 3],
      axis: 0,
      bias: 11,
    })
    expect(report?.headroomBits).toBeCloseTo(Math.log2(2 ** 31 / (largest + 11)), 12)
    expect(report?.summands).toBe(3)
    // Pairs of 4-bit weights stay in 16 bits.
    expect(report).not.toHaveProperty('saturablePairs')
  })

  it('counts the pairs of 8-bit products that can leave int16', () => {
    // 255 · 129 = 32895 is beyond 32767 and 255 · 128 = 32640 is not; −255 · 129 = −32895 is beyond −32768; signs that differ help.
    const values = [127, 1, 127, 2, -127, -1, -127, -2, 100, -100, 5, 5]
    const report = accumulatorReport({ input: input(8, 0), weight: weight(8, 1), values, dims: [1, 12], axis: 0 })
    expect(report?.saturablePairs).toBe(2 / 6)
  })

  it('pairs along the summed axis wherever channels are', () => {
    // Columns are channels: (127, 127) and (1, 1).
    const spec = { ...weight(8, 2).spec, granularity: perChannel(1) }
    const both = {
      input: input(8, 0),
      weight: { ...weight(8, 2), spec },
      values: [127, 1, 127, 1],
      dims: [2, 2],
      axis: 1,
    }
    expect(accumulatorReport(both)).toMatchObject({ summands: 2, saturablePairs: 1 / 2 })
  })
})
