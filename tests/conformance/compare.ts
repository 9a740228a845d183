import type { Feeds } from '@fewbit/core/engine'
import type { Tensor } from '@fewbit/core/ir'
import { decodeUtf8 } from '@fewbit/core/util'

/** |actual − expected| ≤ absolute + relative · |expected| + peak share · largest |expected|. */
export interface Tolerance {
  readonly relative: number
  readonly absolute: number
  /** For float32 and float64. */
  readonly ofPeak?: number
  /** For float16, whose unit in the last place is 2^-11. */
  readonly ofPeakHalf?: number
}

/** The first difference as a sentence, or undefined. Integers, booleans and strings have no tolerance. */
export function outputsDifference(expected: Feeds, actual: Feeds, tolerance: Tolerance): string | undefined {
  for (const [name, tensor] of Object.entries(expected)) {
    const other = actual[name]
    const difference = other ? tensorDifference(tensor, other, tolerance) : 'is missing'
    if (difference) return `"${name}" ${difference}`
  }
  return undefined
}

function tensorDifference(expected: Tensor, actual: Tensor, tolerance: Tolerance): string | undefined {
  const [want, got] = [expected, actual].map((t) => `${t.dtype}[${t.dims.join(',')}]`)
  if (want !== got) return `is ${got}, not ${want}`
  return expected.dtype === 'string'
    ? stringDifference(expected, actual)
    : numberDifference(expected, actual, tolerance)
}

function stringDifference(expected: Tensor, actual: Tensor): string | undefined {
  const [e, a] = [expected, actual].map((t) => t.stringBytes().map(decodeUtf8))
  return e?.every((text, i) => text === a?.[i]) ? undefined : `is ${a?.join(' ')}, not ${e?.join(' ')}`
}

function numberDifference(expected: Tensor, actual: Tensor, tolerance: Tolerance): string | undefined {
  const [e, a] = [expected.numbers(), actual.numbers()]
  const isFloat = /^b?float/.test(expected.dtype)
  const share = (expected.dtype === 'float16' ? tolerance.ofPeakHalf : tolerance.ofPeak) ?? 0
  const peak = share > 0 ? peakOf(e) : 0
  for (let i = 0; i < e.length; i++) {
    const [x, y] = [e[i] as number, a[i] as number]
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue
    const room = isFloat ? tolerance.absolute + tolerance.relative * Math.abs(x) + share * peak : 0
    // Written so that NaN fails.
    if (!(Math.abs(x - y) <= room)) return `at ${i} is ${y}, not ${x}`
  }
  return undefined
}

function peakOf(values: Iterable<number>): number {
  let peak = 0
  for (const x of values) if (Number.isFinite(x)) peak = Math.max(peak, Math.abs(x))
  return peak
}
