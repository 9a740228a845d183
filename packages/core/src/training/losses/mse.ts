import { type Definition, maker } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { LossBody } from '../loss.ts'
import { AGAINST, type AgainstOption, needsOf, overPairs } from './pairs.ts'

/** The mean of (y − t)² over all elements; summed over outputs. */
export const mseDefinition: Definition<AgainstOption, LossBody> = {
  name: 'mse',
  title: 'Mean squared error',
  summary: 'compares outputs with tensors by squares',
  source: 'Gauss 1809',
  options: AGAINST,
  make: (options) => ({
    needs: needsOf(options),
    write: (g, inputs) => overPairs(g, inputs, options, (y, t) => g.meanOf(g.square(g.sub(y, t)))),
  }),
}

export const mse = maker(LOSS, mseDefinition)
