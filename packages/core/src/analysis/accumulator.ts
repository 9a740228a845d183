import { forEachRun, perChannel, type QuantParams, quantize } from '../quant/index.ts'
import type { AccumulatorReport } from './report-layer-schema.ts'

export interface AccumulatorInput {
  readonly input: QuantParams
  readonly weight: QuantParams
  /** The weight's elements, row-major. */
  readonly values: ArrayLike<number>
  readonly dims: readonly number[]
  /** The axis of output channels. */
  readonly axis: number
  /** Largest magnitude of the bias codes. */
  readonly bias?: number
}

/**
 * How far the sums of products of codes can go. An output channel with weight codes w adds Σ w·(x − z) and its bias; with x − z between
 * a and b the largest magnitude is that of b·Σw⁺ + a·Σw⁻ or of a·Σw⁺ + b·Σw⁻. Undefined for codes that are no integers of 16 bits or
 * fewer.
 */
export function accumulatorReport(layer: AccumulatorInput): AccumulatorReport | undefined {
  const { input, weight, values, dims, axis, bias = 0 } = layer
  if (input.spec.format || weight.spec.format || weight.spec.bits > 16 || input.spec.bits > 16) return undefined
  const sums = codeSums(quantize(values, weight, dims), weight, dims, axis)
  const zero = input.zeroPoint[0] ?? 0
  const [a, b] = [input.spec.quantMin - zero, input.spec.quantMax - zero]
  let largest = 0
  sums.positive.forEach((p, c) => {
    const n = sums.negative[c] as number
    largest = Math.max(largest, Math.abs(b * p + a * n), Math.abs(a * p + b * n))
  })
  const hasPairs = input.spec.bits === 8 && !input.spec.signed && weight.spec.bits === 8 && weight.spec.signed
  return {
    summands: values.length / Math.max(1, dims[axis] ?? 1),
    headroomBits: Math.log2(2 ** 31 / (largest + bias)),
    ...(hasPairs ? { saturablePairs: sums.saturable / Math.max(1, sums.pairs) } : {}),
  }
}

interface CodeSums {
  readonly positive: Float64Array
  /** At most 0. */
  readonly negative: Float64Array
  readonly pairs: number
  readonly saturable: number
}

/** Sums by channel, and the pairs of neighbours w1, w2 for which 255·w1 + 255·w2, one of them perhaps left out, leaves int16. */
function codeSums(codes: ArrayLike<number>, weight: QuantParams, dims: readonly number[], axis: number): CodeSums {
  const channels = dims[axis] ?? 1
  const [positive, negative] = [new Float64Array(channels), new Float64Array(channels)]
  const pending: (number | undefined)[] = new Array(channels)
  let [pairs, saturable] = [0, 0]
  const zeros = zeroPoints(weight, dims)
  forEachRun(dims, perChannel(axis), (start, end, c) => {
    for (let i = start; i < end; i++) {
      const w = (codes[i] as number) - zeros(i)
      if (w > 0) positive[c] = (positive[c] as number) + w
      else negative[c] = (negative[c] as number) + w
      const first = pending[c]
      pending[c] = first === undefined ? w : undefined
      if (first === undefined) continue
      pairs++
      const [high, low] = [Math.max(first, 0) + Math.max(w, 0), Math.min(first, 0) + Math.min(w, 0)]
      if (255 * high > 32767 || 255 * low < -32768) saturable++
    }
  })
  return { positive, negative, pairs, saturable }
}

/** The zero point of each element; weights mostly have none. */
function zeroPoints({ zeroPoint, spec }: QuantParams, dims: readonly number[]): (index: number) => number {
  if (zeroPoint.every((z) => z === 0)) return () => 0
  const each = new Int32Array(dims.reduce((n, d) => n * d, 1))
  forEachRun(dims, spec.granularity, (start, end, p) => each.fill(zeroPoint[p] as number, start, end))
  return (index) => each[index] as number
}
