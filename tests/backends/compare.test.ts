import { describe, expect, it } from 'vitest'
import { compareOutputs, compareValues, mergeAgreements } from './compare.ts'

describe('compareValues', () => {
  it('counts in steps: the same code below one half, within one at exactly one', () => {
    const got = compareValues([0, 0, 0, 0], [0.1, 0.25, 0.5, -1.5], 0.5)
    expect(got).toEqual({ elements: 4, same: 0.25, within: 0.75, worst: 3 })
  })

  it('lets no NaN pass', () => {
    expect(compareValues([0, 1], [0, Number.NaN], 1)).toEqual({ elements: 2, same: 0.5, within: 0.5, worst: Infinity })
  })

  it('refuses another number of elements', () => {
    expect(() => compareValues([0, 1], [0], 1)).toThrow('1 elements instead of 2')
  })
})

describe('mergeAgreements', () => {
  it('weighs by elements and keeps the worst', () => {
    const each = [
      { elements: 3, same: 1, within: 1, worst: 0.2 },
      { elements: 1, same: 0, within: 0, worst: 7 },
    ]
    expect(mergeAgreements(each)).toEqual({ elements: 4, same: 0.75, within: 0.75, worst: 7 })
  })
})

describe('compareOutputs', () => {
  it('names the output that the engine did not give', () => {
    expect(() => compareOutputs(new Map([['y', [1]]]), new Map(), () => 1)).toThrow('no output "y"')
  })
})
