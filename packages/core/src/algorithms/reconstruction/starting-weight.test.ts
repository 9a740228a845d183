import { describe, expect, it } from 'vitest'
import { Tensor } from '../../ir/index.ts'
import { fakeQuantize, perChannel, quantSpec } from '../../quant/index.ts'
import { startingWeight } from './starting-weight.ts'

const spec = quantSpec({ bits: 4, signed: true, symmetric: true }, perChannel(0))
const params = { spec, scale: [0.5, 2], zeroPoint: [0, 0] }
const row = (values: readonly number[]) => Tensor.float32([2, 3], values)
const near = (actual: ArrayLike<number>, expected: readonly number[]) => {
  for (const [i, x] of expected.entries()) expect(actual[i], `element ${i}`).toBeCloseTo(x, 6)
}

describe('startingWeight', () => {
  const trained = row([0.3, -1.1, 0.7, 3.2, -5, 0.1])

  it('is the trained weight where it was rounded to the nearest, or not at all', () => {
    const rounded = Tensor.float32([2, 3], fakeQuantize(trained.numbers(), params, [2, 3]))
    // −5 and 3.2 in steps of 2 are −2.5, a tie, and 1.6: the tie begins a little on the side of its code, −2.
    for (const now of [trained, rounded])
      near(startingWeight(trained, now, params).numbers(), [0.3, -1.1, 0.7, 3.2, -4.9, 0.1])
  })

  it('rounds to the codes that another algorithm chose, and approaches far ones from the side of the trained weight', () => {
    const now = row([0, -2, 1, 2, -6, 4])
    const start = startingWeight(trained, now, params)
    expect([...fakeQuantize(start.numbers(), params, [2, 3])]).toEqual([...now.numbers()])
    near(start.numbers(), [0.225, -1.775, 0.775, 2.9, -5.1, 3.1])
  })
})
