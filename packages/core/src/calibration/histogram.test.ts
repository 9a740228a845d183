import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeStats, statsOf } from './accumulate.ts'
import { HistogramBuilder, MAX_BINS } from './histogram.ts'

const float = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ min: -8, max: 8, noNaN: true }),
  fc.constantFrom(0, -0, 2 ** -149, -(2 ** -149), 1, -1),
)
const tensor = fc.array(float, { minLength: 1, maxLength: 60 }).map((values) => Float32Array.from(values))

describe('histogram', () => {
  it('counts each value in the bin that holds it', () => {
    fc.assert(
      fc.property(tensor, (values) => {
        const { histogram } = statsOf(values)
        const { width, first, counts } = histogram!
        const expected = new Float64Array(counts.length)
        for (const x of values) expected[Math.floor(x / width) - first]!++
        expect(counts).toEqual(expected)
        expect(counts.reduce((a, b) => a + b)).toBe(values.length)
      }),
    )
  })

  it('is as fine as its number of bins allows', () => {
    fc.assert(
      fc.property(tensor, (values) => {
        const { min, max, histogram } = statsOf(values)
        const { width, counts } = histogram!
        const bins = (w: number) => Math.floor(Math.max(max, 0) / w) - Math.floor(Math.min(min, 0) / w) + 1
        expect(counts.length).toBe(bins(width))
        expect(counts.length).toBeLessThanOrEqual(MAX_BINS)
        if (width > 2 ** -149) expect(bins(width / 2)).toBeGreaterThan(MAX_BINS)
      }),
    )
  })

  it('is the same for any split and order of the data', () => {
    fc.assert(
      fc.property(tensor, tensor, tensor, (a, b, c) => {
        const whole = statsOf(Float32Array.from([...a, ...b, ...c]))
        expect(mergeStats(mergeStats(statsOf(a), statsOf(b)), statsOf(c))).toEqual(whole)
        expect(mergeStats(statsOf(c), mergeStats(statsOf(b), statsOf(a)))).toEqual(whole)
      }),
    )
  })

  it('knows one zero', () => {
    const { histogram } = statsOf(Float32Array.of(2 ** -149, -0))
    expect(Object.is(histogram?.first, 0)).toBe(true)
  })

  it('grows by adding neighbours', () => {
    const builder = new HistogramBuilder()
    builder.add(Float32Array.of(0, 1, 1.5), 0, 1.5)
    builder.add(Float32Array.of(8000), 0, 8000)
    const { width, first, counts } = builder.build()
    expect([width, first, counts[0], counts[1], counts[8000]]).toEqual([1, 0, 1, 2, 1])
  })
})
