import { paramsFromRange, type QuantSpec, type Range, withZero } from '../quant/index.ts'
import { type Observer, unlessConstant, within } from './define.ts'
import { elementsOf, gridError } from './elements.ts'

export interface LpOptions {
  /** p of the norm: 2 is squared error, more minds outliers, less the bulk. */
  readonly p: number
  /** Candidates: the extremes, shrunk by one percent more each time. */
  readonly steps: number
}

/** Least mean |x̂ − x|^p over the elements themselves. See docs/observers/lp.md. */
export const lp: Observer<LpOptions> = {
  name: 'lp',
  summary: 'the shrunken extremes with the least mean error to the power p, on elements',
  defaults: { p: 2, steps: 95 },
  wants: ['elements'],
  range: unlessConstant((stats, spec, options) =>
    withZero(leastError(elementsOf(stats), { lo: stats.min, hi: stats.max }, spec, options)),
  ),
}

/** The range (1 − i/100) · whole, i from 0 on, whose grid errs least on the values. */
export function leastError(values: Float32Array, whole: Range, spec: QuantSpec, options: LpOptions): Range {
  const p = within('p', options.p, 0.1, 16)
  const steps = within('steps', options.steps, 1, 100)
  let best = { range: whole, error: Number.POSITIVE_INFINITY }
  for (let i = 0; i < steps; i++) {
    const range = { lo: whole.lo * (1 - 0.01 * i), hi: whole.hi * (1 - 0.01 * i) }
    const error = gridError(values, paramsFromRange(range, spec), spec, p)
    if (error < best.error) best = { range, error }
  }
  return best.range
}
