import type { ChannelMoments } from '../norm-statistics.ts'
import type { Moments } from './clipped-normal.ts'

/**
 * What is known of a value without data, for each of its channels, or once for all of them where they cannot be told apart.
 */
export interface ValueMoments extends ChannelMoments {
  /** Bounds that the elements hardly ever leave. */
  readonly lo: Float64Array
  readonly hi: Float64Array
  /** The normal distribution that these elements are, cut at the bounds: what Relu has cut keeps it for the next function. */
  readonly normal: ChannelMoments
  /** Axis of the channels, counted from the front. */
  readonly axis: number
  /**
   * `norm`: the mean is what BatchNormalization says, carried through functions that are known. `derived`: an assumption has gone into
   * it, such as independence of channels or of positions. `input`: comes from the network's input alone, whose neighbours are anything
   * but independent.
   */
  readonly origin: Origin
}

export type Origin = 'norm' | 'derived' | 'input'

const ORIGINS: readonly Origin[] = ['norm', 'derived', 'input']

/** The weakest of several origins; what mixes statistics with input is derived. */
export function weakest(origins: readonly Origin[]): Origin {
  if (origins.every((origin) => origin === 'input')) return 'input'
  const known = origins.filter((origin) => origin !== 'input')
  return known.length < origins.length
    ? 'derived'
    : (ORIGINS[Math.max(...known.map((o) => ORIGINS.indexOf(o)))] as Origin)
}

/** Channels of a normal value; bounds lie `deviations` standard deviations off the mean (Nagel 2019, section 5: six). */
export function normalMoments(
  { mean, std }: ChannelMoments,
  axis: number,
  deviations: number,
  origin: Origin,
): ValueMoments {
  const bound = (sign: 1 | -1) => mean.map((m, c) => m + sign * deviations * (std[c] as number))
  return { mean, std, lo: bound(-1), hi: bound(1), normal: { mean, std }, axis, origin }
}

/** One channel that holds the elements of all: the extremes of the bounds, the moments of the mixture. */
export function pooled({ mean, std, lo, hi, axis, origin }: ValueMoments): ValueMoments {
  const count = mean.length
  const m = mean.reduce((sum, x) => sum + x, 0) / count
  const variance = mean.reduce((sum, x, c) => sum + (std[c] as number) ** 2 + (x - m) ** 2, 0) / count
  const one = (x: number) => Float64Array.of(x)
  const [mixed, deviation] = [one(m), one(Math.sqrt(variance))]
  const bounds = { lo: one(Math.min(...lo)), hi: one(Math.max(...hi)) }
  return { mean: mixed, std: deviation, ...bounds, normal: { mean: mixed, std: deviation }, axis, origin }
}

/** The same statistics on other channels: `from(c)` is the channel that channel c was. */
export function pick(
  value: ValueMoments,
  channels: number,
  from: (channel: number) => number,
  axis = value.axis,
): ValueMoments {
  const each = (of: Float64Array) => Float64Array.from({ length: channels }, (_, c) => of[from(c)] as number)
  const normal = { mean: each(value.normal.mean), std: each(value.normal.std) }
  return {
    ...value,
    mean: each(value.mean),
    std: each(value.std),
    lo: each(value.lo),
    hi: each(value.hi),
    normal,
    axis,
  }
}

/** Statistics for so many channels, repeated where they stand for all; nothing where they are of another number. */
export function forChannels(value: ValueMoments, channels: number): ValueMoments | undefined {
  if (value.mean.length === channels) return value
  return value.mean.length === 1 ? pick(value, channels, () => 0) : undefined
}

/** Channel by channel from the scalars of one or more values. */
export function zip(
  values: readonly ValueMoments[],
  origin: Origin,
  combine: (parts: readonly ScalarMoments[]) => ScalarMoments,
): ValueMoments {
  const channels = Math.max(...values.map(({ mean }) => mean.length))
  const all = Array.from({ length: channels }, (_, c) => combine(values.map((v) => scalars(v, c))))
  const column = (of: (s: ScalarMoments) => number) => Float64Array.from(all, of)
  const axis = values.find(({ mean }) => mean.length === channels)?.axis ?? 1
  return {
    ...{ mean: column((s) => s.mean), std: column((s) => s.std), lo: column((s) => s.lo), hi: column((s) => s.hi) },
    normal: { mean: column((s) => (s.normal ?? s).mean), std: column((s) => (s.normal ?? s).std) },
    ...{ axis, origin },
  }
}

function scalars(v: ValueMoments, channel: number): ScalarMoments {
  const at = (of: Float64Array) => of[v.mean.length === 1 ? 0 : channel] as number
  const normal = { mean: at(v.normal.mean), std: at(v.normal.std) }
  return { mean: at(v.mean), std: at(v.std), lo: at(v.lo), hi: at(v.hi), normal }
}

export interface ScalarMoments {
  readonly mean: number
  readonly std: number
  readonly lo: number
  readonly hi: number
  /** Where it is not the normal distribution of this mean and deviation. */
  readonly normal?: Moments
}
