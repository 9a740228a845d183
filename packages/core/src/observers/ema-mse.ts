import { withZero } from '../quant/index.ts'
import { type Observer, unlessConstant } from './define.ts'
import { type LpOptions, leastError } from './lp.ts'
import { type MomentumOptions, movingAverage } from './moving-average.ts'

/** Moving average of the range that errs least on each sample. See docs/observers/ema-mse.md. */
export const emaMse: Observer<MomentumOptions & LpOptions> = {
  name: 'ema-mse',
  summary: 'a moving average of the range with the least error on each sample',
  defaults: { momentum: 0.9, p: 2, steps: 95 },
  wants: ['series'],
  range: unlessConstant((stats, spec, options) =>
    withZero(
      movingAverage(stats, options, ({ min, max, values }) => leastError(values, { lo: min, hi: max }, spec, options)),
    ),
  ),
}
