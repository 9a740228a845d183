import { withZero } from '../quant/index.ts'
import { type Observer, unlessConstant, within } from './define.ts'
import { momentsOf } from './moments.ts'

export interface ClipStdOptions {
  /** Standard deviations around the mean that are kept. */
  readonly sigmas: number
}

/** Clips at a number of standard deviations around the mean. See docs/observers/clip-std.md. */
export const clipStd: Observer<ClipStdOptions> = {
  name: 'clip-std',
  summary: 'the mean and so many standard deviations around it, within the extremes',
  defaults: { sigmas: 2.6 },
  wants: ['moments'],
  range: unlessConstant((stats, _spec, { sigmas }) => {
    const { mean, std } = momentsOf(stats)
    const reach = within('sigmas', sigmas, 0.1, 100) * std
    return withZero({ lo: Math.max(stats.min, mean - reach), hi: Math.min(stats.max, mean + reach) })
  }),
}
