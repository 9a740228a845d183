import { must } from '../util/index.ts'
import { around, isOneSided, threshold } from './aciq.ts'
import { type Observer, type TensorStats, unlessConstant } from './define.ts'
import { momentsOf } from './moments.ts'

/** The best clipping of a Laplace distribution of the tensor's width. See docs/observers/aciq-laplace.md. */
export const aciqLaplace: Observer = {
  name: 'aciq-laplace',
  summary: 'the analytically best clipping of a Laplace distribution',
  defaults: {},
  wants: ['moments', 'histogram'],
  range: unlessConstant((stats, spec) => {
    const { mean, meanMagnitude } = momentsOf(stats)
    // Half of a Laplace distribution around zero has half of its mean magnitude.
    const width = isOneSided(stats) ? 2 * meanMagnitude : meanDeviation(stats, mean)
    return around(mean, width * threshold(slope, stats, spec), stats)
  }),
}

/** Half the derivative of ∫ (x − t)² beyond ±t under the density e^−|x| / 2. */
const slope = (t: number): number => -Math.exp(-t)

function meanDeviation(stats: TensorStats, mean: number): number {
  const { width, first, counts } = must(stats.histogram, 'histogram')
  let [sum, total] = [0, 0]
  for (const [i, n] of counts.entries()) {
    sum += n * Math.abs((first + i + 0.5) * width - mean)
    total += n
  }
  return sum / total
}
