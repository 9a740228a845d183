import { problem } from '../util/index.ts'
import { matches } from './groups.ts'
import type { Constraint } from './hooks.ts'
import type { Parameter } from './trainable.ts'

export interface ClampOptions {
  /** Name of the parameters; `*` stands for any text. Default: any. */
  readonly match?: string
  readonly kinds?: readonly Parameter['kind'][]
  readonly min?: number
  readonly max?: number
}

/** Keeps parameters within bounds after each step, as binary networks keep weights within −1 … 1 (Courbariaux 2016). */
export function clamp({ match = '*', kinds, min = -Infinity, max = Infinity }: ClampOptions): Constraint {
  if (!(min <= max))
    throw problem('TRAIN_CLAMP', `a clamp from ${min} to ${max} leaves nothing`, { fix: 'exchange them' })
  return {
    name: 'clamp',
    toJSON: () => ({ name: 'clamp', options: { match, ...(kinds && { kinds }), min, max } }),
    slots: ({ name, kind }) => (matches(match, name) && (kinds?.includes(kind) ?? true) ? {} : undefined),
    write(g, { param }) {
      const raised = min === -Infinity ? param : g.op('Max', [param, min])
      return { param: max === Infinity ? raised : g.op('Min', [raised, max]), slots: {} }
    },
  }
}
