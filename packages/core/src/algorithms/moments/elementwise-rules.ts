import { outputBounds } from '../../quant/index.ts'
import { clippedNormal } from './clipped-normal.ts'
import type { MomentRule } from './rule.ts'
import { type ScalarMoments, type ValueMoments, weakest, zip } from './value-moments.ts'

/** Relu and Clip: the mathematics of the clipped normal. */
export const clip: MomentRule = ({ node, ops, inputs: [x] }) => {
  const def = ops.of(node)
  const bounds = def && outputBounds(node, def)
  if (!bounds || !x) return undefined
  const { lo = -Infinity, hi = Infinity } = bounds
  const inside = (v: number) => Math.min(Math.max(v, lo), hi)
  return zip([x], x.origin, ([s]) => {
    const { mean, std, lo: low, hi: high, normal = { mean, std } } = s as ScalarMoments
    const [least, most] = [inside(low), inside(high)]
    return { ...clippedNormal(normal, least, most), lo: least, hi: most, normal }
  })
}

/** Independent summands: means and variances add; the sum stays within the sum of bounds, and near its mean. */
export const sum =
  (sign: 1 | -1): MomentRule =>
  ({ inputs, deviations }) => {
    const [a, b] = inputs
    if (!a || !b || !agree(a, b)) return undefined
    return zip([a, b], weakest([a.origin, b.origin]), ([x, y]) => {
      const [p, q] = [x as ScalarMoments, sign === 1 ? (y as ScalarMoments) : negated(y as ScalarMoments)]
      const mean = p.mean + q.mean
      const std = Math.hypot(p.std, q.std)
      return {
        ...{ mean, std },
        lo: Math.max(p.lo + q.lo, mean - deviations * std),
        hi: Math.min(p.hi + q.hi, mean + deviations * std),
      }
    })
  }

const negated = ({ mean, std, lo, hi }: ScalarMoments): ScalarMoments => ({ mean: -mean, std, lo: -hi, hi: -lo })

export const product: MomentRule = ({ inputs: [a, b] }) => {
  if (!a || !b || !agree(a, b)) return undefined
  return zip([a, b], weakest([a.origin, b.origin, 'derived']), ([x, y]) => {
    const [p, q] = [x as ScalarMoments, y as ScalarMoments]
    const corners = [p.lo * q.lo, p.lo * q.hi, p.hi * q.lo, p.hi * q.hi]
    const square = (p.mean ** 2 + p.std ** 2) * (q.mean ** 2 + q.std ** 2)
    const mean = p.mean * q.mean
    return { mean, std: Math.sqrt(Math.max(0, square - mean ** 2)), lo: Math.min(...corners), hi: Math.max(...corners) }
  })
}

const agree = (a: ValueMoments, b: ValueMoments): boolean =>
  a.mean.length === 1 || b.mean.length === 1 || (a.mean.length === b.mean.length && a.axis === b.axis)
