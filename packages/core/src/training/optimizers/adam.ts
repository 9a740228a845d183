import type { Value } from '../../ir/index.ts'
import type { GradBuilder } from '../../ops/index.ts'
import { type Definition, maker } from '../definition.ts'
import { OPTIMIZER } from '../kinds.ts'
import type { OptimizerBody, Update, Updated } from '../optimizer.ts'
import type { Scalars } from '../progress.ts'
import { decayed } from './decay.ts'

export interface AdamOptions {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
}

export const ADAM_OPTIONS = {
  beta1: { summary: 'share of the averaged gradient that is kept', default: 0.9, least: 0, most: 0.999999 },
  beta2: { summary: 'share of the averaged square that is kept', default: 0.999, least: 0, most: 0.999999 },
  epsilon: { summary: 'what is added to the divisor', default: 1e-8, least: 0 },
} as const

/** Averages begin at zero: dividing by 1 − βᵗ makes up for it. In double precision, since 1 − 0.999 has four digits left in single. */
export const biasCorrections =
  ({ beta1, beta2 }: AdamOptions): Scalars =>
  ({ step }) => ({ first: 1 / (1 - beta1 ** step), second: 1 / Math.sqrt(1 - beta2 ** step) })

/** p ← p − η·m̂/(√v̂ + ε), m̂ and v̂ the corrected averages of g and g². */
export function adamUpdate(g: GradBuilder, options: AdamOptions, update: Update, param: Value, grad: Value): Updated {
  const { beta1, beta2, epsilon } = options
  const { lr, slots, scalars } = update as Update & { slots: Record<'first' | 'second', Value> } & {
    scalars: Record<'first' | 'second', Value>
  }
  const first = g.add(g.mul(slots.first, beta1), g.mul(grad, 1 - beta1))
  const second = g.add(g.mul(slots.second, beta2), g.mul(g.square(grad), 1 - beta2))
  const divisor = g.add(g.mul(g.op('Sqrt', [second]), scalars.second), epsilon)
  const rate = g.mul(lr, scalars.first)
  return { param: g.sub(param, g.div(g.mul(first, rate), divisor)), slots: { first, second } }
}

export const adamDefinition: Definition<AdamOptions, OptimizerBody> = {
  name: 'adam',
  title: 'Adam',
  summary: 'steps of about the learning rate whatever the size of gradients',
  source: 'Kingma & Ba 2015, arXiv:1412.6980',
  options: {
    ...ADAM_OPTIONS,
    weightDecay: { summary: 'added to the gradient, times the weight', default: 0, least: 0 },
  },
  make: (options) => ({
    weightDecay: options.weightDecay,
    slots: ['first', 'second'],
    scalars: biasCorrections(options),
    write: (g, update) => adamUpdate(g, options, update, update.param, decayed(g, update)),
  }),
}

export const adam = maker(OPTIMIZER, adamDefinition)
