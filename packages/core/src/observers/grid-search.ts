import { type QuantSpec, type Range, stepsAboutZero, symmetricZero, withZero } from '../quant/index.ts'
import { must, roundHalfEven } from '../util/index.ts'
import type { TensorStats } from './define.ts'

/** How many codes a grid has below and above zero. */
interface Split {
  readonly negative: number
  readonly positive: number
}

/** The cost of every split at one scale; infinite where a split must not be taken. */
export type SplitCost = (negative: number, positive: number) => number

/** How a search walks down the scales. */
export interface ScaleSteps {
  /** The finest scale is the min-max scale over this, unless one histogram bin per code comes first. */
  readonly depth: number
  /** Ratio of neighbouring scales in the first sweep. */
  readonly ratio: number
  /** How many times finer the second sweep is, around the best point of the first. */
  readonly refine: number
}

const STEPS: ScaleSteps = { depth: 2 ** 13, ratio: 0.93, refine: 8 }
/** Zero points tried at every scale, about; 2 to 6 bits have no more. */
const COARSE_SPLITS = 64

/**
 * The range whose code grid costs least, over all scales from min-max down to one histogram bin per code (a geometric grid, made
 * finer around its best point) and, for affine specs, over zero points: some 64 of them at first, all around the
 * best. A constant tensor has nothing to search: its value and zero are both exact at min-max.
 */
export function searchGrid(
  stats: TensorStats,
  spec: QuantSpec,
  costAt: (scale: number) => SplitCost,
  { depth, ratio, refine }: ScaleSteps = STEPS,
): Range {
  const whole = withZero({ lo: stats.min, hi: stats.max })
  if (stats.min === stats.max) return whole
  const splits = splitsOf(spec, whole)
  const largest = minmaxScale(stats, spec)
  const smallest = Math.max(Math.min(must(stats.histogram, 'histogram').width, largest), largest / depth)
  let best = { scale: largest, split: splits[0] as Split, cost: Number.POSITIVE_INFINITY }
  const consider = (scale: number, among: readonly Split[]): void => {
    const cost = costAt(scale)
    for (const split of among) {
      const c = cost(split.negative, split.positive)
      if (c < best.cost) best = { scale, split, cost: c }
    }
  }
  const stride = Math.ceil(splits.length / COARSE_SPLITS)
  const coarse = splits.filter((_, i) => i % stride === 0 || i === splits.length - 1)
  for (let scale = largest; scale >= smallest; scale *= ratio) consider(scale, coarse)
  const centre = best
  const near = splits.filter(({ negative }) => Math.abs(negative - centre.split.negative) <= 2 * stride)
  for (let i = 1 - refine; i < refine; i++) {
    const scale = centre.scale * ratio ** (i / refine)
    if (scale <= largest) consider(scale, near)
  }
  return best.cost === Number.POSITIVE_INFINITY ? whole : gridRange(best.scale, best.split, spec)
}

function splitsOf(spec: QuantSpec, whole: Range): Split[] {
  const { quantMin, quantMax } = spec
  const split = (zero: number): Split => ({ negative: zero - quantMin, positive: quantMax - zero })
  if (spec.symmetric) return [split(isOneSided(spec, whole) ? quantMin : symmetricZero(spec))]
  if (whole.lo === 0) return [split(quantMin)]
  if (whole.hi === 0) return [split(quantMax)]
  return Array.from({ length: quantMax - quantMin + 1 }, (_, i) => split(quantMin + i))
}

/** The scale that covers everything: where searches begin. */
export function minmaxScale(stats: TensorStats, spec: QuantSpec): number {
  const { lo, hi } = withZero({ lo: stats.min, hi: stats.max })
  const levels = spec.quantMax - spec.quantMin
  if (!spec.symmetric || isOneSided(spec, { lo, hi })) return (hi - lo) / levels
  const { below, above } = stepsAboutZero(spec)
  return Math.max(-lo / below, hi / above)
}

/** The range that `paramsFromRange` turns back into this scale and zero point. */
export function rangeOfScale(scale: number, zeroPoint: number, spec: QuantSpec): Range {
  return gridRange(scale, { negative: zeroPoint - spec.quantMin, positive: spec.quantMax - zeroPoint }, spec)
}

/** The zero point that belongs to a scale: fixed for symmetric specs, else where the minimum gets the lowest code, as far as it can. */
export function zeroPointFor(scale: number, stats: TensorStats, spec: QuantSpec): number {
  const { lo, hi } = withZero({ lo: stats.min, hi: stats.max })
  const { quantMin, quantMax } = spec
  if (spec.symmetric) return isOneSided(spec, { lo, hi }) ? quantMin : symmetricZero(spec)
  return Math.min(Math.max(quantMin - roundHalfEven(lo / scale), quantMin), quantMax)
}

/** The range that `paramsFromRange` turns back into this scale and split. */
function gridRange(scale: number, { negative, positive }: Split, spec: QuantSpec): Range {
  const isCentred = spec.symmetric && negative > 0
  const { below, above } = stepsAboutZero(spec)
  return isCentred ? { lo: -below * scale, hi: above * scale } : { lo: 0 - negative * scale, hi: positive * scale }
}

const isOneSided = (spec: QuantSpec, whole: Range): boolean => spec.symmetric && !spec.signed && whole.lo === 0
