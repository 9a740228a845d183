import { must } from '../util/index.ts'
import { type Observer, unlessConstant } from './define.ts'
import { rangeOfScale, zeroPointFor } from './grid-search.ts'
import { bestPowerOfTwo, type PowerOfTwoOptions } from './power-of-two-scale.ts'

/** The power-of-two scale that most samples choose. See docs/observers/pot-mode.md. */
export const potMode: Observer<PowerOfTwoOptions> = {
  name: 'pot-mode',
  summary: 'the power-of-two scale that is best for most samples',
  defaults: { tries: 5 },
  wants: ['series'],
  range: unlessConstant((stats, spec, options) => {
    const votes = new Map<number, number[]>()
    for (const record of must(stats.series, 'series')) {
      if (record.min === 0 && record.max === 0) continue
      const scale = bestPowerOfTwo(record.values, record, spec, options)
      votes.set(scale, [...(votes.get(scale) ?? []), zeroPointFor(scale, record, spec)])
    }
    const [winner] = [...votes].sort(([a, n], [b, m]) => m.length - n.length || b - a)
    const [scale, zeroPoints] = must(winner, 'scale')
    // The extremes of all samples are those of none: with their zero point, half of a sample may lie beyond the codes.
    const zeroPoint = zeroPoints.toSorted((a, b) => a - b)[zeroPoints.length >> 1] as number
    return rangeOfScale(scale, zeroPoint, spec)
  }),
}
