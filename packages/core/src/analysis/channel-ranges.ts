import { forEachRun, perChannel } from '../quant/index.ts'
import type { TensorReport } from './report-tensor-schema.ts'

/** Minima and maxima along an axis. */
export interface ChannelExtremes {
  readonly axis: number
  readonly min: ArrayLike<number>
  readonly max: ArrayLike<number>
}

export function channelExtremes(values: ArrayLike<number>, dims: readonly number[], axis: number): ChannelExtremes {
  const channels = dims[axis] ?? 0
  const min = new Float64Array(channels).fill(Infinity)
  const max = new Float64Array(channels).fill(-Infinity)
  forEachRun(dims, perChannel(axis), (start, end, c) => {
    for (let i = start; i < end; i++) {
      const x = values[i] as number
      if (x < (min[c] as number)) min[c] = x
      if (x > (max[c] as number)) max[c] = x
    }
  })
  return { axis, min, max }
}

/**
 * Channels whose every element is the same are dead: an activation that never changes carries nothing, and a weight of zeros makes
 * nothing. Ranges are those that quantization covers, so that they hold zero.
 */
export function channelReport({ axis, min, max }: ChannelExtremes): NonNullable<TensorReport['channels']> {
  const [lows, highs] = [Array.from(min), Array.from(max)]
  const dead = lows.flatMap((lo, c) => (lo === highs[c] ? [c] : []))
  const ranges = lows.flatMap((lo, c) => {
    const hi = highs[c] as number
    return lo === hi ? [] : [Math.max(hi, 0) - Math.min(lo, 0)]
  })
  const [largest, smallest] = [
    ranges.reduce((a, b) => Math.max(a, b), 0),
    ranges.reduce((a, b) => Math.min(a, b), Infinity),
  ]
  return { axis, min: lows, max: highs, rangeRatio: ranges.length > 0 ? largest / smallest : 1, dead }
}
