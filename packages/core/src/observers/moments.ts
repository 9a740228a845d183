import { must } from '../util/index.ts'
import type { TensorStats } from './define.ts'

/** Mean, mean magnitude and standard deviation (n − 1 in the denominator) of a tensor. */
export function momentsOf(stats: TensorStats): { mean: number; meanMagnitude: number; std: number } {
  const { sum, sumOfMagnitudes, sumOfSquares } = must(stats.moments, 'moments')
  const { count } = stats
  const mean = sum / count
  const variance = Math.max(sumOfSquares - count * mean * mean, 0) / Math.max(count - 1, 1)
  return { mean, meanMagnitude: sumOfMagnitudes / count, std: Math.sqrt(variance) }
}
