import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { type ClimbOptions, climb } from './climb.ts'
import { type MaxDrop, parseMaxDrop } from './floor.ts'
import type { LadderMemory, LadderState } from './state.ts'

const engine = nodeEngine({ threads: 1 })
const calibration = { data: memoryData(normalData({ x: [1, 4, 8, 8] }, 8)), observer: 'minmax' }
const evaluation = { data: memoryData(normalData({ x: [1, 4, 8, 8] }, 8, 77)), metrics: ['cosine'] }

const options = (maxDrop: MaxDrop, more: Partial<ClimbOptions> = {}): ClimbOptions => ({
  ...{ engine, target: 'academic', scheme: 'w3a4', calibration, evaluation, maxDrop },
  ...more,
})

/** Keeps states as JSON, as a file would. */
function memory(): LadderMemory & { saved: string[] } {
  const saved: string[] = []
  return {
    saved,
    load: async () => (saved.length > 0 ? JSON.parse(saved.at(-1) as string) : undefined),
    save: async (state) => void saved.push(JSON.stringify(state)),
  }
}

describe('climb', () => {
  it('stops at the first rung that meets the floor', async () => {
    const { ladder } = await climb(fixture('residual'), options({ units: 0.9 }))
    expect(ladder).toMatchObject({ metric: 'cosine', met: true, best: 0 })
    // A network agrees with itself up to the rounding of the sums.
    expect(ladder.float).toBeCloseTo(1, 12)
    expect(ladder.trials.map(({ rung }) => rung)).toEqual(['observers'])
  })

  it('goes up to layers in float where nothing less is enough, and keeps only what helps', async () => {
    const { ladder, plan, report } = await climb(fixture('residual'), options({ units: 0.004 }))
    const { trials, best, met } = ladder
    expect(met).toBe(true)
    expect(trials[best]?.rung).toMatch(/partial float|mixed precision/)
    const drops = trials.filter(({ kept }) => kept).map(({ drop }) => drop as number)
    expect(drops).toEqual([...drops].sort((a, b) => b - a))
    // What the evaluation of the report says is measured anew, on the network that is returned.
    expect(1 - (report.evaluation?.after.metrics.cosine as number)).toBeCloseTo(trials[best]?.drop as number, 12)
    expect(plan.nodes.some(({ decision }) => decision === 'float')).toBe(true)
  })

  it('returns the best network where the floor cannot be met', async () => {
    const { ladder } = await climb(fixture('residual'), options({ units: 0 }))
    const scores = ladder.trials.map(({ score = -1 }) => score)
    expect(ladder.met).toBe(false)
    expect(ladder.best).toBe(scores.indexOf(Math.max(...scores)))
  })

  it('goes on where an interrupted run was, to the same network', async () => {
    const state = memory()
    const whole = await climb(fixture('residual'), options({ units: 0.004 }, { memory: state }))
    const half = JSON.parse(state.saved[0] as string) as LadderState
    const later = memory()
    later.saved.push(JSON.stringify(half))
    const resumed = await climb(fixture('residual'), options({ units: 0.004 }, { memory: later }))
    expect(half.trials).toHaveLength(1)
    expect(resumed.ladder.trials[0]).toEqual(half.trials[0])
    expect(digests(resumed)).toEqual(digests(whole))
    const again = await climb(fixture('residual'), options({ units: 0.004 }, { memory: state }))
    expect(again.ladder.trials).toEqual(whole.ladder.trials)
    expect(digests(again)).toEqual(digests(whole))
  })

  it('forgets what was measured with other settings', async () => {
    const state = memory()
    await climb(fixture('residual'), options({ units: 0.9 }, { memory: state }))
    const { ladder } = await climb(fixture('residual'), options({ units: 0.9 }, { memory: state, scheme: 'w8a8' }))
    expect(ladder.trials[0]?.score).toBeGreaterThan(0.999)
  })

  it('holds a score of the user’s own', async () => {
    const asked: Model[] = []
    const metric = {
      name: 'mine',
      higherIsBetter: false,
      score: async (model: Model) => asked.push(model),
    }
    const { ladder } = await climb(fixture('residual'), options({ units: 3 }, { metric }))
    expect(ladder).toMatchObject({ metric: 'mine', float: 1, met: true })
    expect(ladder.trials.map(({ score }) => score)).toEqual([2])
  })

  it('warns where calibration data would be scored', async () => {
    const same = { ...evaluation, data: calibration.data }
    const { diagnostics } = await climb(fixture('residual'), options({ units: 0.9 }, { evaluation: same }))
    expect(diagnostics.map(({ code }) => code)).toContain('LADDER_SAME_DATA')
  })

  it('refuses what has no float score to drop from, and a floor without data to hold it on', async () => {
    await expect(climb(fixture('residual'), options({ units: 1 }, { metric: 'sqnr' }))).rejects.toThrow('LADDER_METRIC')
    const { evaluation: _, ...without } = options({ units: 1 })
    await expect(climb(fixture('residual'), without)).rejects.toThrow('LADDER_DATA')
  })
})

const digests = ({ model, float }: { model: Model; float: Model }) => [structuralHash(model), structuralHash(float)]

describe('parseMaxDrop', () => {
  it('reads units and shares', () => {
    expect(parseMaxDrop('0.5')).toEqual({ units: 0.5 })
    expect(parseMaxDrop('1 %')).toEqual({ percent: 1 })
  })

  it.each(['', '-1', '1e3', 'x', '%'])('refuses %j', (text) => {
    expect(() => parseMaxDrop(text)).toThrow('MAX_DROP')
  })
})
