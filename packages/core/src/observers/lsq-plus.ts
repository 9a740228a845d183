import { type Observer, unlessConstant, within } from './define.ts'
import { rangeOfScale, zeroPointFor } from './grid-search.ts'
import { momentsOf } from './moments.ts'
import { mse } from './mse.ts'

export interface LsqPlusOptions {
  /** Standard deviations that a symmetric grid reaches. */
  readonly sigmas: number
}

/** The parameters that LSQ+ training begins with. See docs/observers/lsq-plus.md. */
export const lsqPlus: Observer<LsqPlusOptions> = {
  name: 'lsq-plus',
  summary: 'what LSQ+ training begins with: three standard deviations if symmetric, least squared error if affine',
  defaults: { sigmas: 3 },
  wants: ['moments', 'histogram'],
  range: unlessConstant((stats, spec, { sigmas }) => {
    if (!spec.symmetric) return mse.range(stats, spec, {})
    const { mean, std } = momentsOf(stats)
    const reach = within('sigmas', sigmas, 0.1, 100) * std
    const scale = Math.max(Math.abs(mean - reach), Math.abs(mean + reach)) / 2 ** (spec.bits - 1)
    return rangeOfScale(scale, zeroPointFor(scale, stats, spec), spec)
  }),
}
