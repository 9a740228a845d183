import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../../algorithms/index.ts'
import type { Patch } from '../patch.ts'
import { type Outlook, steps } from './rungs.ts'

/** The steps of a ladder on which everything helps. */
async function climbed(over: Partial<Outlook>) {
  const found: { readonly rung: string; readonly patch: Patch }[] = []
  const outlook = (): Outlook => ({
    ...{ patch: found.at(-1)?.patch ?? {}, algorithms: ALGORITHMS, given: [], mayKeepFloat: true, shifts: false },
    ...{ fewBits: true, richer: undefined, sensitivity: async () => ['layer'] },
    ...over,
  })
  for await (const step of steps(outlook)) found.push(step)
  return found
}

describe('steps of the ladder', () => {
  it('learn blocks on top of rounding where there are few bits, before layers stay in float', async () => {
    const rungs = await climbed({})
    const names = rungs.map(({ rung }) => rung)
    expect(names).toEqual(['observers', 'equalization', 'scales', 'rounding', 'reconstruction', 'partial float'])
    const algorithms = rungs[4]?.patch.algorithms?.map(({ name }) => name)
    expect(algorithms).toContain('coordinate-descent')
    expect(algorithms?.at(-1)).toBe('qdrop')
  })

  it('do without where there are 8 bits, and do not ask for what was asked for anyway', async () => {
    expect((await climbed({ fewBits: false })).map(({ rung }) => rung)).not.toContain('reconstruction')
    expect((await climbed({ given: ['qdrop', 'bias-correction'] })).map(({ rung }) => rung)).not.toContain(
      'reconstruction',
    )
  })
})
