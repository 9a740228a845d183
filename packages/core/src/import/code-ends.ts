import { coveredRange, type QuantParams } from '../quant/index.ts'

/** True if no code stands for a value beyond the bounds. Half a step of slack: bounds and scales are rounded apart. */
export function endsWithin(bounds: { readonly lo?: number; readonly hi?: number }, params: QuantParams): boolean {
  const [scale = 1, zeroPoint = 0] = [params.scale[0], params.zeroPoint[0]]
  const { lo, hi } = coveredRange({ scale, zeroPoint }, params.spec)
  return lo >= (bounds.lo ?? -Infinity) - scale / 2 && hi <= (bounds.hi ?? Infinity) + scale / 2
}
