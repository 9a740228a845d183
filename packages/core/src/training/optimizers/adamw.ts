import { type Definition, maker } from '../definition.ts'
import { OPTIMIZER } from '../kinds.ts'
import type { OptimizerBody } from '../optimizer.ts'
import { ADAM_OPTIONS, type AdamOptions, adamUpdate, biasCorrections } from './adam.ts'

/** Adam, with the weight pulled to zero by η·λ·p itself, so that its gradient's size has no part in it. */
export const adamwDefinition: Definition<AdamOptions, OptimizerBody> = {
  name: 'adamw',
  title: 'AdamW',
  summary: 'Adam with decay of weights that does not go through its averages',
  source: 'Loshchilov & Hutter 2019, arXiv:1711.05101',
  options: {
    ...ADAM_OPTIONS,
    weightDecay: { summary: 'pulls weights to zero: times weight and learning rate', default: 0.01, least: 0 },
  },
  make: (options) => ({
    weightDecay: options.weightDecay,
    slots: ['first', 'second'],
    scalars: biasCorrections(options),
    write(g, update) {
      const { param, lr, weightDecay } = update
      const pulled = weightDecay === 0 ? param : g.mul(param, g.sub(1, g.mul(lr, weightDecay)))
      return adamUpdate(g, options, update, pulled, update.grad)
    },
  }),
}

export const adamw = maker(OPTIMIZER, adamwDefinition)
