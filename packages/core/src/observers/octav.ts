import { type Range, withZero } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { isOneSided } from './aciq.ts'
import { type Observer, type TensorStats, unlessConstant, within } from './define.ts'

export interface OctavOptions {
  /** Most steps of the iteration, which is still after ten. */
  readonly steps: number
}

/** The clipping with the least squared error, by the Newton-Raphson iteration of OCTAV. See docs/observers/octav.md. */
export const octav: Observer<OctavOptions> = {
  name: 'octav',
  summary: 'the symmetric clipping with the least squared error, by a fast iteration',
  defaults: { steps: 50 },
  wants: ['histogram'],
  range: unlessConstant((stats, spec, { steps }) => {
    const codes = spec.quantMax - spec.quantMin + 1
    const noise = 1 / ((isOneSided(stats) ? 12 : 3) * codes * codes)
    return clipped(iterate(stats, noise, within('steps', steps, 1, 1000)), stats)
  }),
}

const clipped = (reach: number, { min, max }: TensorStats): Range =>
  withZero({ lo: Math.max(min, -reach), hi: Math.min(max, reach) })

/** s ← E[|x|; |x| > s] / (noise · P(0 < |x| ≤ s) + P(|x| > s)) until it moves by less than a millionth. */
function iterate(stats: TensorStats, noise: number, steps: number): number {
  let reach = 0
  for (let i = 0; i < steps; i++) {
    const { inside, beyond, sum } = split(stats, reach)
    if (beyond === 0) break
    const next = sum / (noise * inside + beyond)
    if (Math.abs(next - reach) < 1e-6 * next) return next
    reach = next
  }
  return reach
}

/**
 * Counts and sums of magnitudes on both sides of a bound. Values within a bin of zero are exact under any scale, as zeros are, and
 * count on no side; the bin that holds the bound is split evenly.
 */
function split(stats: TensorStats, bound: number): { inside: number; beyond: number; sum: number } {
  const { width, first, counts } = must(stats.histogram, 'histogram')
  let [inside, beyond, sum] = [0, 0, 0]
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i] as number
    const bin = first + i
    const near = (bin < 0 ? -bin - 1 : bin) * width
    if (n === 0 || near === 0) continue
    const share = Math.min(Math.max((near + width - bound) / width, 0), 1)
    beyond += n * share
    inside += n * (1 - share)
    sum += n * share * (near + width - (share * width) / 2)
  }
  return { inside, beyond, sum }
}
