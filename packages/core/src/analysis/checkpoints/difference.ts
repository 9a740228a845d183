import type { Tensor } from '../../ir/index.ts'
import { sqnrDb } from '../metrics.ts'

/** How far two runs of one tensor are apart. */
export interface Difference {
  readonly elements: number
  /** In what `worst` counts: steps of the quantizer, or the largest magnitude of the reference. */
  readonly unit: 'step' | 'peak'
  /** Elements with another code; of floats, elements with another value. */
  readonly differing: number
  /** Elements more than one step apart; of floats, more than 1e-4 of the peak. */
  readonly beyond: number
  /** The largest difference, in `unit`. */
  readonly worst: number
  /** Mean of candidate − reference, in `unit`. */
  readonly offset: number
  /** Signal to noise, in dB: Infinity where nothing differs. */
  readonly sqnr: number
}

/** Codes come back as code · scale in float32; a thousandth of a step is far above its error and far below a code. */
const SLACK = 1e-3
/** Sums of thousands of products in another order differ by a millionth of the peak, and less than this. */
const FLOAT_BOUND = 1e-4

/** Compares two runs of a tensor. NaN in one of them only, and other shapes, count as infinitely far. */
export function differenceOf(reference: Tensor, candidate: Tensor, step?: number): Difference {
  const [r, c] = [reference.numbers(), candidate.numbers()]
  if (r.length !== c.length || reference.dims.length !== candidate.dims.length) return incomparable(r.length, step)
  const scale = step ?? (peakOf(r) || 1)
  const [same, near] = step === undefined ? [0, FLOAT_BOUND] : [0.5, 1 + SLACK]
  let [differing, beyond, worst, signal, noise, sum] = [0, 0, 0, 0, 0, 0]
  for (let i = 0; i < r.length; i++) {
    const [x, y] = [r[i] as number, c[i] as number]
    signal += x * x
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue
    noise += (x - y) ** 2
    sum += y - x
    const apart = Number.isNaN(x - y) ? Number.POSITIVE_INFINITY : Math.abs(x - y) / scale
    if (apart > same) differing++
    if (apart > near) beyond++
    if (apart > worst) worst = apart
  }
  return {
    elements: r.length,
    unit: step === undefined ? 'peak' : 'step',
    differing,
    beyond,
    worst,
    offset: sum / scale / Math.max(1, r.length),
    sqnr: sqnrDb(signal, noise),
  }
}

function peakOf(values: ArrayLike<number>): number {
  let peak = 0
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i] as number)
    if (magnitude > peak) peak = magnitude
  }
  return peak
}

const incomparable = (elements: number, step: number | undefined): Difference => ({
  elements,
  unit: step === undefined ? 'peak' : 'step',
  differing: elements,
  beyond: elements,
  worst: Number.POSITIVE_INFINITY,
  offset: 0,
  sqnr: Number.NEGATIVE_INFINITY,
})

/** One figure for several runs or tensors; `sqnr` is that of the worst. */
export function mergeDifferences(all: readonly Difference[]): Difference {
  const sum = (of: (d: Difference) => number) => all.reduce((n, d) => n + of(d), 0)
  return {
    elements: sum((d) => d.elements),
    unit: all.some((d) => d.unit === 'peak') ? 'peak' : 'step',
    differing: sum((d) => d.differing),
    beyond: sum((d) => d.beyond),
    worst: Math.max(0, ...all.map((d) => d.worst)),
    offset:
      sum((d) => d.offset * d.elements) /
      Math.max(
        1,
        sum((d) => d.elements),
      ),
    sqnr: all.reduce((least, d) => (d.sqnr < least || Number.isNaN(d.sqnr) ? d.sqnr : least), Number.POSITIVE_INFINITY),
  }
}

/** What one kernel may differ by. */
export interface Tolerance {
  /** Share of the codes that may differ, by one step. Default 0.001: ties that two arithmetics take to different sides. */
  readonly share?: number
  /** What float tensors may differ by, as a share of their largest magnitude. Default 1e-4. */
  readonly relative?: number
  /** Instead of both: least signal to noise in dB. For networks that are meant to differ, as a float and a quantized one. */
  readonly sqnr?: number
}

const SHARE = 1e-3
/** Rounding errors have no mean; a zero point that is one too high has, of a step. */
const OFFSET = 0.75

export function isWithin(d: Difference, { share = SHARE, relative = FLOAT_BOUND, sqnr }: Tolerance = {}): boolean {
  if (sqnr !== undefined) {
    const shifted = d.unit === 'step' && Math.abs(d.offset) > OFFSET
    return d.differing === 0 || (d.sqnr >= sqnr && !shifted)
  }
  if (d.unit === 'peak') return d.worst <= relative
  // A single code of a short tensor is no share.
  return d.beyond === 0 && d.differing <= Math.max(1, share * d.elements)
}
