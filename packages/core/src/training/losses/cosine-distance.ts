import { type Definition, maker } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { LossBody } from '../loss.ts'
import { AGAINST, type AgainstOption, needsOf, overPairs } from './pairs.ts'

/** Keeps the norms of all-zero rows from being divisors. */
const EPSILON = 1e-8

/** 1 − ⟨y, t⟩ / (‖y‖·‖t‖) for each sample; the mean over the batch, summed over outputs. */
export const cosineDistanceDefinition: Definition<AgainstOption, LossBody> = {
  name: 'cosine-distance',
  title: 'Cosine distance',
  summary: 'compares directions of outputs and tensors, whatever their lengths',
  source: 'docs/training.md',
  options: AGAINST,
  make: (options) => ({
    needs: needsOf(options),
    write: (g, inputs) =>
      overPairs(g, inputs, options, (y, t) => {
        const [a, b] = [g.reshape(y, [0, -1]), g.reshape(t, [0, -1])]
        const norm = (x: typeof a) => g.op('Sqrt', [g.add(g.sum(g.square(x), [1], false), EPSILON ** 2)])
        const similarity = g.div(g.sum(g.mul(a, b), [1], false), g.mul(norm(a), norm(b)))
        return g.meanOf(g.sub(1, similarity))
      }),
  }),
}

export const cosineDistance = maker(LOSS, cosineDistanceDefinition)
