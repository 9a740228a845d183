import { expect, it } from 'vitest'
import { quantizeMultiplier } from '../../util/index.ts'
import { addScaling, softmaxScaling } from './fixed-point.ts'

it('scales summands so that neither overflows', () => {
  const [a, b, y] = addScaling(0.5, 0.25, 1)
  expect([a, b]).toEqual([quantizeMultiplier(0.5), quantizeMultiplier(0.25)])
  expect(y).toEqual(quantizeMultiplier(2 ** -20))
})

it('scales differences for Softmax', () => {
  // 0.1 · 2^26 = 6710886.4 = 0.8 · 2^23; the radius is 31 · 2^26 / 2^23 = 248.
  expect(softmaxScaling(0.1)).toEqual({ multiplier: Math.round(0.8 * 2 ** 31), shift: 23, diffMin: -248 })
})
