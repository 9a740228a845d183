import { statsOf } from '../calibration/index.ts'
import {
  forEachRun,
  isBinary,
  paramCount,
  paramsFromData,
  paramsFromRanges,
  type QuantParams,
  type QuantSpec,
  type Range,
} from '../quant/index.ts'
import type { Observer } from './define.ts'

/**
 * Parameters of a constant, one range for each tensor, channel or group of `spec`, each chosen by the observer from all elements that
 * share it. The best scale of binary levels is known (see `paramsFromData`), whatever the observer.
 * @param values row-major, of shape `dims`.
 */
export function observeConstant(
  observer: Observer<object>,
  values: ArrayLike<number>,
  dims: readonly number[],
  spec: QuantSpec,
): QuantParams {
  const { wants, defaults } = observer
  if (isBinary(spec.format)) return paramsFromData(values, dims, spec)
  const ranges = partsOf(values, dims, spec).map((part): Range => {
    return part.length === 0 ? { lo: 0, hi: 0 } : observer.range(statsOf(part, wants), spec, defaults)
  })
  return paramsFromRanges(ranges, spec)
}

/** The elements of each channel or group. */
function partsOf(values: ArrayLike<number>, dims: readonly number[], { granularity }: QuantSpec): Float32Array[] {
  const sizes = new Uint32Array(paramCount(dims, granularity))
  forEachRun(dims, granularity, (start, end, p) => {
    sizes[p] = (sizes[p] as number) + end - start
  })
  const parts = Array.from(sizes, (size) => new Float32Array(size))
  sizes.fill(0)
  forEachRun(dims, granularity, (start, end, p) => {
    const part = parts[p] as Float32Array
    let at = sizes[p] as number
    for (let i = start; i < end; i++) part[at++] = values[i] as number
    sizes[p] = at
  })
  return parts
}
