import { type Definition, maker } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { LossBody } from '../loss.ts'
import { AGAINST, type AgainstOption, needsOf, overPairs } from './pairs.ts'

export interface LpOptions extends AgainstOption {
  readonly p: number
  readonly reduction: 'mean' | 'channels'
}

/** The mean of |y − t|ᵖ over all elements, or its sum over axis 1 and mean over the others, as in BRECQ; summed over outputs. */
export const lpDefinition: Definition<LpOptions, LossBody> = {
  name: 'lp',
  title: 'Lp error',
  summary: 'compares outputs with tensors by powers of the difference',
  source: 'reduction of channels: Li 2021 (BRECQ), arXiv:2102.05426',
  options: {
    ...AGAINST,
    p: { summary: 'the power', default: 2.4, least: 1 },
    reduction: { summary: 'what is done over channels (axis 1)', default: 'mean', choices: ['mean', 'channels'] },
  },
  make: (options) => ({
    needs: needsOf(options),
    write: (g, inputs) =>
      overPairs(g, inputs, options, (y, t) => {
        const size = g.op('Abs', [g.sub(y, t)])
        const power = options.p === 1 ? size : options.p === 2 ? g.square(size) : g.op('Pow', [size, options.p])
        return g.meanOf(options.reduction === 'channels' ? g.sum(power, [1], false) : power)
      }),
  }),
}

export const lp = maker(LOSS, lpDefinition)
