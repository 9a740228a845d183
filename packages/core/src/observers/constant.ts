import { symmetricZero } from '../quant/index.ts'
import { type Observer, within } from './define.ts'
import { rangeOfScale } from './grid-search.ts'

export interface ConstantOptions {
  readonly scale: number
  /** Code of zero, for affine specs. */
  readonly zeroPoint: number
}

/** A scale that somebody knows already. See docs/observers/constant.md. */
export const constant: Observer<ConstantOptions> = {
  name: 'constant',
  summary: 'a given scale, whatever the data',
  defaults: { scale: 1, zeroPoint: 0 },
  wants: ['minmax'],
  passive: true,
  range(_stats, spec, { scale, zeroPoint }) {
    const zero = spec.symmetric ? symmetricZero(spec) : within('zeroPoint', zeroPoint, spec.quantMin, spec.quantMax)
    return rangeOfScale(within('scale', scale, 2 ** -63, 2 ** 63), zero, spec)
  },
}
