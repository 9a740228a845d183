import { describe, expect, it } from 'vitest'
import type { NodePlan, QuantPlan, TensorPlan } from '../quant/index.ts'
import { slowdownCause } from './slowdown.ts'

const slower = { float: 1, quantized: 1.5, ratio: 1.5 }
const LARGE = 10_000_000
const SMALL = 1000

const node = (decision: NodePlan['decision'], macs?: number): NodePlan => ({
  node: 'n',
  opType: 'Conv',
  decision,
  reason: { code: 'X', text: 'x' },
  ...(macs === undefined ? {} : { macs }),
})

const activation = { role: 'activation' } as TensorPlan

/** Nodes with names of their own, and an activation tensor if anything is quantized. */
function plan(...nodes: NodePlan[]): QuantPlan {
  const quantized = nodes.some((n) => n.decision !== 'float')
  return {
    format: 'fewbit-plan',
    version: 1,
    target: 't',
    scheme: 'w8a8',
    nodes: nodes.map((n, i) => ({ ...n, node: `n${i}` })),
    tensors: quantized ? [activation] : [],
    diagnostics: [],
  }
}

describe('slowdownCause', () => {
  it('says nothing of a network that is as fast or faster', () => {
    const slow = plan(node('float', SMALL))
    expect(slowdownCause({ float: 2, quantized: 1, ratio: 0.5 }, slow)).toBeUndefined()
    expect(slowdownCause({ float: 1, quantized: 1, ratio: 1 }, slow)).toBeUndefined()
  })

  it('blames the processor where all else is well', () => {
    expect(slowdownCause(slower, plan(node('integer', LARGE), node('fused')))).toMatch(/no fast integer kernel/)
  })

  it('blames arithmetic in float from more than a quarter on', () => {
    const quarter = plan(node('float', LARGE), node('integer', 3 * LARGE))
    expect(slowdownCause(slower, quarter)).not.toMatch(/multiply-accumulates/)
    const third = plan(node('float', LARGE), node('integer', 2 * LARGE))
    expect(slowdownCause(slower, third)).toMatch(/^33 % of the multiply-accumulates stay in float/)
  })

  it('blames conversions where float nodes stand among integer ones', () => {
    const text = slowdownCause(slower, plan(node('integer', LARGE), node('float'), node('integer', LARGE)))
    expect(text).toMatch(/^1 of 3 nodes stay in float, and every step between/)
    expect(text).not.toMatch(/so small/)
  })

  it('names no conversion where nothing is quantized', () => {
    expect(slowdownCause(slower, plan(node('float', LARGE)))).toBe('100 % of the multiply-accumulates stay in float')
  })

  it('blames small layers by the average of those that multiply', () => {
    const small = plan(node('integer', SMALL), node('integer', SMALL), node('fused'))
    expect(slowdownCause(slower, small)).toMatch(/layers are so small/)
    const mixed = plan(node('integer', SMALL), node('integer', 2 * 200_000 - SMALL))
    expect(slowdownCause(slower, mixed)).not.toMatch(/so small/)
  })

  it('joins causes', () => {
    const all = slowdownCause(slower, plan(node('float', SMALL), node('integer', SMALL)))
    expect(all?.split('; ')).toHaveLength(3)
  })
})
