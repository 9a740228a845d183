import { describe, expect, it } from 'vitest'
import { academic } from '../../targets/academic.ts'
import { onnxruntime } from '../../targets/onnxruntime.ts'
import { tflite } from '../../targets/tflite.ts'
import { parseBudget } from './budget.ts'
import { type BudgetRow, budgetRow } from './budget-rows.ts'
import { choicesOf } from './choices.ts'
import { checkReachable, reach } from './choose.ts'
import type { Precision, ProductLayer } from './layers.ts'

describe('parseBudget', () => {
  it.each([
    ['size=60%', { measure: 'size', limit: 0.6, of: 'w8' }],
    ['size=15%float', { measure: 'size', limit: 0.15, of: 'float' }],
    ['size=123456', { measure: 'size', limit: 123456 }],
    ['size=1.5MB', { measure: 'size', limit: 1.5e6 }],
    ['size=2KiB', { measure: 'size', limit: 2048 }],
    ['bops=50%', { measure: 'bops', limit: 0.5, of: 'w8' }],
    ['bops=2e9', { measure: 'bops', limit: 2e9 }],
    ['macs=30%', { measure: 'macs', limit: 0.3 }],
    ['macs=30%@4', { measure: 'macs', limit: 0.3, above: 4 }],
    ['latency=4.5ms@C:\\times.json', { measure: 'latency', limit: 4.5, file: 'C:\\times.json' }],
  ])('reads %s', (text, expected) => {
    expect(parseBudget(text)).toEqual(expected)
  })

  it.each(['size', 'size=', 'size=-1', 'size=1XB', 'macs=5', 'bops=5MB', 'latency=5', 'time=3', ''])(
    'refuses "%s"',
    (text) => {
      expect(() => parseBudget(text)).toThrow(/BUDGET_SYNTAX/)
    },
  )
})

describe('choices of bits', () => {
  it('change the weights of the base scheme', () => {
    expect(choicesOf(['4', 8, 'float'], 'w8a8', onnxruntime)).toEqual(['w4a8', 'w8a8', 'float'])
    expect(choicesOf([3, 8], 'w8', onnxruntime)).toEqual(['w3', 'w8'])
    expect(choicesOf(['w4a4', 8, 8], 'w8a8', academic)).toEqual(['w4a4', 'w8a8'])
  })

  it('take 16 for activations too, where the target has them', () => {
    expect(choicesOf([1, 4, 8, 16], 'w8a8', academic)).toEqual(['w1a8', 'w4a8', 'w8a8', 'w16a16'])
  })

  it('are those of the target', () => {
    expect(() => choicesOf([1, 8], 'w8a8', onnxruntime)).toThrow(/SCHEME_UNSUPPORTED.*weights of 1 bits/s)
    expect(() => choicesOf([8, 'float'], 'w8a8', tflite)).toThrow(/ALLOCATE_BITS.*integers only/s)
    expect(() => choicesOf([8, 'w8a8'], 'w8a8', onnxruntime)).toThrow(/ALLOCATE_BITS.*two or more/s)
  })
})

const bits = (weightBits: number, activationBits = 8): Precision => ({
  weightBits,
  activationBits,
  storedBits: weightBits,
})
const layer = (node: string, macs: number, elements: number, ...precision: Precision[]): ProductLayer => {
  return { node, opType: 'Conv', macs, elements, precision }
}

// Two layers to choose for, of 1,000 and 101 weights, and one of 10 weights that stays in float.
const found = {
  groups: [
    { layers: [layer('a', 500, 1000, bits(4), bits(8))], followers: [] },
    { layers: [layer('b', 300, 101, bits(4), bits(8))], followers: [] },
  ],
  fixed: [layer('c', 200, 10, bits(32, 32), bits(32, 32))],
}
const CHOICES = ['w4a8', 'w8a8']
const row = (text: string): BudgetRow => budgetRow(parseBudget(text) as never, found, CHOICES)

describe('budgets in figures', () => {
  it('count bytes of weights', () => {
    // 101 weights of 4 bits are 50.5 bytes.
    expect(row('size=60%')).toMatchObject({
      costs: [
        [500, 1000],
        [51, 101],
      ],
      fixed: 40,
    })
    expect(row('size=60%').limit).toBeCloseTo(0.6 * (1000 + 101 + 40))
    expect(row('size=20%float').limit).toBeCloseTo(0.2 * 4 * 1111)
    expect(row('size=700').limit).toBe(700)
    expect(reach(row('size=700'))).toEqual({ smallest: 591, largest: 1141 })
  })

  it('count bit operations', () => {
    expect(row('bops=50%')).toMatchObject({
      costs: [
        [16000, 32000],
        [9600, 19200],
      ],
      fixed: 200 * 1024,
    })
    expect(row('bops=50%').limit).toBeCloseTo(0.5 * (51200 + 204800))
  })

  it('count multiply-accumulates above a width', () => {
    expect(row('macs=60%')).toMatchObject({
      costs: [
        [0, 500],
        [0, 300],
      ],
      fixed: 200,
      limit: 600,
    })
    expect(row('macs=60%@8')).toMatchObject({
      costs: [
        [0, 0],
        [0, 0],
      ],
      fixed: 200,
    })
  })

  it('read milliseconds off a table', () => {
    const table = { a: { w4a8: 1, w8a8: 2 }, b: { w4a8: 0.5, w8a8: 0.25 } }
    const latency = budgetRow({ measure: 'latency', limit: 2, table }, found, CHOICES)
    expect(latency).toMatchObject({
      costs: [
        [1, 2],
        [0.5, 0.25],
      ],
      fixed: 0,
      limit: 2,
    })
    const { b: _, ...short } = table
    expect(() => budgetRow({ measure: 'latency', limit: 2, table: short }, found, CHOICES)).toThrow(
      /LATENCY_TABLE.*"b"/,
    )
  })

  it('name the least that is possible', () => {
    expect(() => checkReachable([row('size=590')])).toThrow(/ALLOCATE_INFEASIBLE.*590 bytes, and 591 is the least/)
    expect(() => checkReachable([row('size=591')])).not.toThrow()
  })
})
