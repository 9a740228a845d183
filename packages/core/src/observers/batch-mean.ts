import { withZero } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { Observer } from './define.ts'

/** Mean of each sample's extremes. See docs/observers/batch-mean.md. */
export const batchMean: Observer = {
  name: 'batch-mean',
  summary: 'the mean of the extremes of each sample',
  defaults: {},
  wants: ['series'],
  range(stats) {
    const series = must(stats.series, 'series')
    const mean = (of: 'min' | 'max'): number => series.reduce((sum, record) => sum + record[of], 0) / series.length
    return withZero({ lo: mean('min'), hi: mean('max') })
  },
}
