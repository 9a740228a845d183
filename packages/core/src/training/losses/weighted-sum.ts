import { must } from '../../util/index.ts'
import type { Loss } from '../loss.ts'

/** A loss with its factor in a sum. */
export interface LossTerm {
  readonly weight: number
  readonly loss: Loss
}

/** Σ wᵢ·lossᵢ. */
export function weightedSum(terms: readonly LossTerm[]): Loss {
  return {
    name: terms.map(({ loss, weight }) => (weight === 1 ? loss.name : `${weight}*${loss.name}`)).join(' + '),
    needs: [...new Set(terms.flatMap(({ loss }) => loss.needs))],
    toJSON: () => ({
      name: 'sum',
      options: { terms: terms.map(({ weight, loss }) => ({ weight, ...loss.toJSON() })) },
    }),
    write(g, inputs) {
      const values = terms.map(({ weight, loss }) => {
        const value = loss.write(g, inputs)
        return weight === 1 ? value : g.mul(value, weight)
      })
      return values.length === 1 ? must(values[0], 'term') : g.op('Sum', values)
    },
  }
}
