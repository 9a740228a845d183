import { integerRange, invariant, must, problem } from '../util/index.ts'
import { paramsFromRange } from './affine.ts'
import { BINARY_LEVELS, formatRange, isBinary } from './formats/index.ts'
import { forEachRun, paramCount } from './granularity.ts'
import type { FormatOf } from './planner-options.ts'
import {
  type Granularity,
  type NumberFormat,
  perTensor,
  type QuantParams,
  type QuantSpec,
  type Range,
  storageDType,
} from './spec.ts'
import type { Target, TensorRule } from './target.ts'

/** What a target says about all its tensors, and a rule may say otherwise. */
export type RoundingDefaults = Partial<Pick<Target, 'rounding' | 'reciprocal' | 'addThenRound'>>

/**
 * A spec from the terms that targets and schemes are written in; fills in the code range. What is the default is left out, so that plans
 * of targets that round half to even do not mention it.
 * @throws FewbitError QUANT_CODES if the rule's codes do not fit its type.
 */
export function quantSpec(
  rule: Omit<TensorRule, 'granularity'>,
  granularity: Granularity = perTensor(),
  defaults: RoundingDefaults = {},
): QuantSpec {
  const { bits, signed, symmetric, powerOfTwo } = rule
  const format = rule.format ?? (bits === 1 && signed && !rule.codes ? BINARY : undefined)
  const rounding = rule.rounding ?? defaults.rounding ?? 'half-even'
  const [quantMin, quantMax] = format ? formatRange(format) : codeRange(rule)
  return {
    ...{ bits, signed, symmetric, quantMin, quantMax, granularity },
    ...(rule.bothEnds ? { bothEnds: true } : {}),
    ...(powerOfTwo ? { powerOfTwo } : {}),
    ...(rounding === 'half-even' || format ? {} : { rounding }),
    ...(defaults.reciprocal ? { reciprocal: true } : {}),
    ...(defaults.addThenRound && !format ? { addThenRound: true } : {}),
    ...(format ? { format } : {}),
    ...(rule.headroom ? { headroom: true } : {}),
  }
}

/** A rule for integers with the format that is made for its bits and sign instead, if any. Formats have no zero point. */
export function withFormat<R extends Omit<TensorRule, 'granularity'>>(rule: R, formatOf: FormatOf | undefined): R {
  const signed = rule.signed || !rule.symmetric
  const format = rule.format ? undefined : formatOf?.(rule.bits, { signed })
  if (!format) return rule
  const { bothEnds: _, ...rest } = rule
  return { ...(rest as R), signed, symmetric: true, format }
}

/** A spec with integers in place of its format. */
export function withIntegers({ format: _, ...spec }: QuantSpec): QuantSpec {
  const [quantMin, quantMax] = codeRange(spec)
  return { ...spec, quantMin, quantMax }
}

/** The spec that codes obey once their scale is chosen. */
export function withoutHeadroom({ headroom, ...spec }: QuantSpec): QuantSpec {
  if (!headroom) return spec
  const type = must(integerRange(storageDType(spec)), 'range of an integer type')
  return { ...spec, quantMin: type.min, quantMax: type.max }
}

/** One signed bit is the sign: ±scale. Two's complement would leave −1 and 0. */
const BINARY: NumberFormat = { kind: 'levels', levels: BINARY_LEVELS }

function codeRange({ bits, signed, narrow, codes }: Omit<TensorRule, 'granularity'>): readonly [number, number] {
  if (!codes) return signed ? [-(2 ** (bits - 1)) + (narrow ? 1 : 0), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1]
  const type = must(integerRange(storageDType({ bits, signed })), 'range of an integer type')
  if (codes[0] < type.min || codes[1] > type.max || codes[0] >= codes[1]) {
    throw problem('QUANT_CODES', `codes ${codes[0]} to ${codes[1]} do not fit ${signed ? '' : 'u'}int${bits}`)
  }
  return codes
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

/**
 * Parameters of constant data: their exact ranges, except that the scale of binary levels is the mean magnitude, which has the least
 * squared error (XNOR-Net, arXiv:1603.05279, equation 6).
 */
export function paramsFromData(values: ArrayLike<number>, dims: readonly number[], spec: QuantSpec): QuantParams {
  const rangesOf = isBinary(spec.format) ? meanMagnitudes : dataRanges
  const ranges = rangesOf(values, dims, spec.granularity)
  return paramsFromRanges(ranges, spec)
}

function meanMagnitudes(values: ArrayLike<number>, dims: readonly number[], granularity: Granularity): Range[] {
  const count = paramCount(dims, granularity)
  const sum = new Float64Array(count)
  const size = new Float64Array(count)
  forEachRun(dims, granularity, (start, end, p) => {
    for (let i = start; i < end; i++) sum[p] = (sum[p] as number) + Math.abs(values[i] as number)
    size[p] = (size[p] as number) + end - start
  })
  return Array.from(sum, (total, p) => ({ lo: 0, hi: total / Math.max(size[p] as number, 1) }))
}
