import { invariant } from '../util/index.ts'
import { paramsFromRange } from './affine.ts'
import { forEachRun, paramCount } from './granularity.ts'
import { type Granularity, perTensor, type QuantParams, type QuantSpec, type Range } from './spec.ts'
import type { TensorRule } from './target.ts'

/** A spec from the terms that targets and schemes are written in; fills in the code range. */
export function quantSpec(rule: Omit<TensorRule, 'granularity'>, granularity: Granularity = perTensor()): QuantSpec {
  const { bits, signed, symmetric, narrow } = rule
  const quantMin = signed ? -(2 ** (bits - 1)) + (narrow ? 1 : 0) : 0
  const quantMax = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1
  return { bits, signed, symmetric, quantMin, quantMax, granularity }
}

/**
 * Parameters for one range per tensor, channel or group.
 *
 * A channel that is zero throughout is exact under any scale. It takes the largest of its neighbours', because scale(input) ·
 * scale(weight) is also the step of the channel's bias, and a scale of 1 would round that bias away.
 */
export function paramsFromRanges(ranges: readonly Range[], spec: QuantSpec): QuantParams {
  invariant(ranges.length > 0, () => 'parameters for no range')
  const each = ranges.map((range) => paramsFromRange(range, spec))
  const isEmpty = ranges.map(({ lo, hi }) => lo === 0 && hi === 0)
  const live = each.filter((_, i) => !isEmpty[i]).map((p) => p.scale)
  const filler = live.length > 0 ? live.reduce((a, b) => Math.max(a, b)) : 1
  return {
    spec,
    scale: each.map((p, i) => (isEmpty[i] ? filler : p.scale)),
    zeroPoint: each.map((p) => p.zeroPoint),
  }
}

/** Exact minimum and maximum of constant data, one range per tensor, channel or group of `spec`. */
export function dataRanges(values: ArrayLike<number>, dims: readonly number[], granularity: Granularity): Range[] {
  const count = paramCount(dims, granularity)
  const lo = new Float64Array(count)
  const hi = new Float64Array(count)
  forEachRun(dims, granularity, (start, end, p) => {
    for (let i = start; i < end; i++) {
      const x = values[i] as number
      if (x < (lo[p] as number)) lo[p] = x
      else if (x > (hi[p] as number)) hi[p] = x
    }
  })
  return Array.from(lo, (low, p) => ({ lo: low, hi: hi[p] as number }))
}
