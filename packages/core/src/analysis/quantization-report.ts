import type { Histogram } from '../calibration/index.ts'
import { coveredRange, forEachRun, type QuantParams, quantize, type Range, withoutHeadroom } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { shareWithin } from './bars.ts'
import type { TensorReport } from './report-tensor-schema.ts'

/** Scales that a document holds of a tensor with a scale for each group. */
const MAX_GROUPS = 1024

/** How a tensor is quantized, in the terms of the document. */
export function quantizationReport(params: QuantParams): NonNullable<TensorReport['quantization']> {
  const { spec, scale, zeroPoint } = params
  const { bits, signed, symmetric, quantMin, quantMax, granularity, format } = spec
  const shown = granularity.kind === 'group' ? MAX_GROUPS : scale.length
  const ranges = scale.map((_, p) => covered(params, p))
  return {
    ...{ bits, signed, symmetric, quantMin, quantMax, granularity: granularity.kind },
    ...(granularity.kind === 'tensor' ? {} : { axis: granularity.axis }),
    ...(granularity.kind === 'group' ? { groupSize: granularity.size } : {}),
    ...(format ? { format: format.kind } : {}),
    scale: scale.slice(0, shown),
    zeroPoint: zeroPoint.slice(0, shown),
    scales: scale.length,
    lo: ranges.reduce((a, { lo }) => Math.min(a, lo), Infinity),
    hi: ranges.reduce((a, { hi }) => Math.max(a, hi), -Infinity),
  }
}

/** What the codes of one scale cover. With headroom they go on to the end of their type. */
function covered({ spec, scale, zeroPoint }: QuantParams, p: number): Range {
  const at = { scale: must(scale[p], 'scale'), zeroPoint: must(zeroPoint[p], 'zero point') }
  return coveredRange(at, withoutHeadroom(spec))
}

export interface CodeShares {
  readonly saturated?: number
  readonly zeros?: number
}

/** Shares of constant data: exact. Of formats other than integers nothing is said of zeros. */
export function constantShares(values: ArrayLike<number>, params: QuantParams, dims: readonly number[]): CodeShares {
  const count = values.length
  if (count === 0) return {}
  let outside = 0
  let zeros = 0
  const codes = params.spec.format ? undefined : quantize(values, params, dims)
  forEachRun(dims, params.spec.granularity, (start, end, p) => {
    const { lo, hi } = withMargin(params, p)
    const zero = params.zeroPoint[p]
    for (let i = start; i < end; i++) {
      const x = values[i] as number
      if (x < lo || x > hi) outside++
      if (codes?.[i] === zero) zeros++
    }
  })
  return { saturated: outside / count, ...(codes ? { zeros: zeros / count } : {}) }
}

/**
 * Shares of a measured value on one scale. Zeros are not told where a step is so small beside a bin that the elements that are exactly 0
 * cannot be told from their neighbours.
 */
export function measuredShares(histogram: Histogram, params: QuantParams): CodeShares {
  if (params.scale.length !== 1) return {}
  const { lo, hi } = withMargin(params, 0)
  const half = must(params.scale[0], 'scale') / 2
  const saturated = 1 - shareWithin(histogram, lo, hi)
  const isTold = !params.spec.format && half >= histogram.width
  return { saturated: Math.max(saturated, 0), ...(isTold ? { zeros: shareWithin(histogram, -half, half) } : {}) }
}

/** Half a step beyond the last code, up to which an element still errs by no more than any other. */
function withMargin(params: QuantParams, p: number): Range {
  const { lo, hi } = covered(params, p)
  const margin = params.spec.format ? 0 : must(params.scale[p], 'scale') / 2
  return { lo: lo - margin, hi: hi + margin }
}
