import { must } from '../util/index.ts'
import { around, isOneSided, threshold } from './aciq.ts'
import { type Observer, unlessConstant } from './define.ts'
import { erfc } from './erfc.ts'
import { momentsOf } from './moments.ts'

/** The best clipping of a normal distribution of the tensor's width. See docs/observers/aciq-gauss.md. */
export const aciqGauss: Observer = {
  name: 'aciq-gauss',
  summary: 'the analytically best clipping of a normal distribution',
  defaults: {},
  wants: ['moments'],
  range: unlessConstant((stats, spec) => {
    const { mean, std } = momentsOf(stats)
    // Half of a normal distribution around zero has half of its second moment.
    const sigma = isOneSided(stats) ? Math.sqrt((2 * must(stats.moments, 'moments').sumOfSquares) / stats.count) : std
    return around(mean, sigma * threshold(slope, stats, spec), stats)
  }),
}

/** Half the derivative of ∫ (x − t)² beyond ±t under the standard normal density. */
const slope = (t: number): number => t * erfc(t / Math.SQRT2) - Math.sqrt(2 / Math.PI) * Math.exp((-t * t) / 2)
