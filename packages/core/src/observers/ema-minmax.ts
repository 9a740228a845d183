import { withZero } from '../quant/index.ts'
import type { Observer } from './define.ts'
import { type MomentumOptions, movingAverage } from './moving-average.ts'

/** Moving average of each sample's extremes. See docs/observers/ema-minmax.md. */
export const emaMinmax: Observer<MomentumOptions> = {
  name: 'ema-minmax',
  summary: 'a moving average of the extremes of each sample',
  defaults: { momentum: 0.9 },
  wants: ['series'],
  range: (stats, _spec, options) => withZero(movingAverage(stats, options, ({ min, max }) => ({ lo: min, hi: max }))),
}
