import { type Observer, unlessConstant } from './define.ts'
import { elementsOf } from './elements.ts'
import { bestPowerOfTwo, type PowerOfTwoOptions, rangeFor } from './power-of-two-scale.ts'

/** The power-of-two scale with the least squared error. See docs/observers/pot-search.md. */
export const potSearch: Observer<PowerOfTwoOptions> = {
  name: 'pot-search',
  summary: 'the power-of-two scale with the least squared error, from the one that clips nothing down',
  defaults: { tries: 5 },
  wants: ['elements'],
  range: unlessConstant((stats, spec, options) =>
    rangeFor(bestPowerOfTwo(elementsOf(stats), stats, spec, options), stats, spec),
  ),
}
