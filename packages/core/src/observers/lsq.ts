import { type Observer, unlessConstant } from './define.ts'
import { rangeOfScale, zeroPointFor } from './grid-search.ts'
import { momentsOf } from './moments.ts'

/** The scale that the paper on learned step sizes begins with. See docs/observers/lsq.md. */
export const lsq: Observer = {
  name: 'lsq',
  summary:
    'the scale that the paper on LSQ begins training with: twice the mean magnitude over the root of the highest code',
  defaults: {},
  wants: ['moments'],
  range: unlessConstant((stats, spec) => {
    const scale = (2 * momentsOf(stats).meanMagnitude) / Math.sqrt(spec.quantMax)
    return rangeOfScale(scale, zeroPointFor(scale, stats, spec), spec)
  }),
}
