import { withZero } from '../quant/index.ts'
import type { Observer } from './define.ts'

/** Every value seen is covered. Nothing is clipped, and one outlier sets the scale. See docs/observers/minmax.md. */
export const minmax: Observer = {
  name: 'minmax',
  summary: 'the exact minimum and maximum',
  defaults: {},
  wants: ['minmax'],
  range: (stats) => withZero({ lo: stats.min, hi: stats.max }),
}
