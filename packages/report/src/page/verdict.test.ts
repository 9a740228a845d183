import type { AnalysisReport } from '@fewbit/core/analysis'
import { describe, expect, it } from 'vitest'
import { verdict } from './verdict.ts'

const bare = (sqnr: number): AnalysisReport => ({
  ...{ format: 'fewbit-analysis', version: 1, versions: { fewbit: '0', engine: 'e' }, layers: [], diagnostics: [] },
  data: { name: 'd', samples: 1, synthetic: false },
  outputs: [
    { value: 'z', metrics: { sqnr: 50, cosine: 1, mse: 0, maxAbs: 0, count: 1 } },
    { value: 'y', metrics: { sqnr, cosine: 1, mse: 0, maxAbs: 0, count: 1 } },
  ],
})

const scored = (before: number, after: number, name = 'top1'): AnalysisReport => ({
  ...bare(10),
  task: { data: 't', samples: 100, before: { [name]: before }, after: { [name]: after } },
})

describe('the verdict', () => {
  it('judges a score by the part of it that is lost: 1 % and 3 %', () => {
    expect(verdict(scored(80, 79.2)).level).toBe('good')
    expect(verdict(scored(80, 77.7)).level).toBe('watch')
    expect(verdict(scored(80, 77.5)).level).toBe('bad')
    expect(verdict(scored(80, 79.5)).sentence).toBe(
      'The quantized network loses 0.50 points of top1 (80.00 % to 79.50 %).',
    )
  })

  it('knows which metrics get better downwards', () => {
    expect(verdict(scored(1, 2, 'mse'))).toEqual({
      level: 'bad',
      sentence: 'The quantized network loses 1 of mse (1 to 2).',
    })
    expect(verdict(scored(2, 1, 'mse')).level).toBe('good')
  })

  it('goes by the worst output without scores: 20 dB is a hundredth of the power', () => {
    expect(verdict(bare(20))).toEqual({
      level: 'watch',
      sentence:
        "The quantized network keeps its outputs at 20.0 dB SQNR, noise of 1 % of the signal's power; what that costs in accuracy was not measured.",
    })
    expect(verdict(bare(14.9)).level).toBe('bad')
    expect(verdict(bare(30)).level).toBe('good')
    expect(verdict(bare(Number.NaN))).toMatchObject({ level: 'bad', sentence: expect.stringMatching(/broken/) })
  })

  it('says how much smaller the file became', () => {
    const nodes = { integer: 1, fused: 0, quantized: 0, float: 0 }
    const model = {
      ...{ target: 't', scheme: 's', nodes, macs: 1 },
      float: { name: 'a', bytes: 4000 },
      quantized: { name: 'b', bytes: 1000 },
    }
    expect(verdict({ ...bare(30), model }).sentence).toMatch(/^The quantized network is 4.0 times smaller and keeps /)
  })
})
