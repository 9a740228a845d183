import type { Definition } from '../definition.ts'
import { maker } from '../definition.ts'
import { OPTIMIZER } from '../kinds.ts'
import type { OptimizerBody } from '../optimizer.ts'
import { decayed } from './decay.ts'

export interface SgdOptions {
  readonly momentum: number
  readonly nesterov: boolean
  readonly weightDecay: number
}

/**
 * v ← μ·v + g, p ← p − η·v, or p ← p − η·(g + μ·v) with Nesterov's momentum: the rate stands outside of v (PyTorch's form, not that of
 * Sutskever 2013).
 */
export const sgdDefinition: Definition<SgdOptions, OptimizerBody> = {
  name: 'sgd',
  title: 'Stochastic gradient descent',
  summary: 'goes against the gradient, with momentum if wanted',
  source: 'Sutskever, Martens, Dahl & Hinton 2013',
  options: {
    momentum: { summary: 'share of the last step that is kept', default: 0, least: 0, most: 1 },
    nesterov: { summary: 'looks ahead along the momentum', default: false },
    weightDecay: { summary: 'pulls weights to zero: added to the gradient, times the weight', default: 0, least: 0 },
  },
  make: ({ momentum, nesterov, weightDecay }) => ({
    weightDecay,
    slots: momentum > 0 ? ['momentum'] : [],
    write(g, update) {
      const grad = decayed(g, update)
      const { param, lr, slots } = update
      if (!slots.momentum) return { param: g.sub(param, g.mul(grad, lr)), slots: {} }
      const velocity = g.add(g.mul(slots.momentum, momentum), grad)
      const direction = nesterov ? g.add(grad, g.mul(velocity, momentum)) : velocity
      return { param: g.sub(param, g.mul(direction, lr)), slots: { momentum: velocity } }
    },
  }),
}

export const sgd = maker(OPTIMIZER, sgdDefinition)
