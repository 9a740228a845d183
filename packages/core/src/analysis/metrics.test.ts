import { describe, expect, it } from 'vitest'
import { argmax, ErrorAccumulator, inTopK, psnrDb } from './metrics.ts'

// Worked in seed-systems §5.3 facts 13 and 14 for r and p below: noise/signal .00538961, MSE .09333334, cosine .99776614
// (means over the two rows); here the same rows are taken one at a time.
const rows = [
  { r: [1, 2, 3], p: [1.1, 1.9, 3.2] },
  { r: [4, -5, 6], p: [3.5, -5, 6.5] },
]

describe('error metrics', () => {
  it('gives the field’s published values row by row', () => {
    const each = rows.map(({ r, p }) => new ErrorAccumulator().add(r, p).result())
    const mean = (f: (m: (typeof each)[number]) => number) => each.reduce((s, m) => s + f(m), 0) / each.length
    // Six digits: the published values were computed in float32.
    expect(mean((m) => 10 ** (-m.sqnr / 10))).toBeCloseTo(0.00538961, 6)
    expect(mean((m) => m.mse)).toBeCloseTo(0.09333334, 6)
    expect(mean((m) => m.cosine)).toBeCloseTo(0.99776614, 6)
  })

  it('adds up over parts as over the whole', () => {
    const parts = new ErrorAccumulator()
    for (const { r, p } of rows) parts.add(r, p)
    const whole = new ErrorAccumulator().add([1, 2, 3, 4, -5, 6], [1.1, 1.9, 3.2, 3.5, -5, 6.5])
    expect(parts.result()).toEqual(whole.result())
  })

  it('is infinite for equal tensors and NaN-proof for the maximum', () => {
    expect(new ErrorAccumulator().add([1, 2], [1, 2]).result().sqnr).toBe(Number.POSITIVE_INFINITY)
    expect(new ErrorAccumulator().add([1, 2], [1, Number.NaN]).result().maxAbs).toBeNaN()
  })

  it('ranks', () => {
    expect(argmax([1, 5, 5, 2])).toBe(1)
    expect(inTopK([0.1, 0.5, 0.2, 0.9], 2, 2)).toBe(false)
    expect(inTopK([0.1, 0.5, 0.2, 0.9], 2, 3)).toBe(true)
    // Outputs that are all the same name the first class, and no other.
    expect([0, 1, 2].map((label) => inTopK([7, 7, 7], label, 1))).toEqual([true, false, false])
    expect(inTopK([7, 7, 7], 1, 2)).toBe(true)
    expect(psnrDb(1, 255)).toBeCloseTo(48.1308, 4)
  })
})
