import type { QuantSpec, TensorPlan } from '../quant/index.ts'

/** A scale in the interval (fitted, reach] becomes `fitted`. In float32. */
export interface ScaleBound {
  readonly fitted: number
  readonly reach: number
}

/** In units of the last place: nearer than this, a code beyond a bound is there by rounding. */
const ROUNDING_ULPS = 16

/**
 * Where the topmost code lies beyond a bound of its values by rounding alone, the scale gives way by that: ONNX Runtime 1.30 does not load a
 * Clip whose bound is missed by a little.
 * @param zero the zero point.
 */
export function scaleBounds(members: readonly TensorPlan[], spec: QuantSpec, zero: number): ScaleBound[] {
  if (spec.powerOfTwo || spec.format) return []
  return members.flatMap(({ role, within }) => {
    const hi = within?.hi
    if (role !== 'activation' || hi === undefined) return []
    const steps = spec.quantMax - zero
    return [{ fitted: greatest(steps, hi), reach: greatest(steps, hi * (1 + ROUNDING_ULPS * 2 ** -24)) }]
  })
}

/** The greatest float32 scale of which so many steps do not reach beyond the bound. */
function greatest(steps: number, bound: number): number {
  let scale = Math.fround((bound / steps) * (1 + 2 ** -22))
  while (Math.fround(steps * scale) > bound) scale = Math.fround(scale * (1 - 2 ** -24))
  return scale
}

export const fittedScale = (scale: number, bounds: readonly ScaleBound[]): number =>
  bounds.reduce((s, { fitted, reach }) => (s > fitted && s <= reach ? fitted : s), scale)
