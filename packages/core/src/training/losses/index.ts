import { type Definitions, parseRecord, type RecordJson, readRecord } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { Loss, LossBody } from '../loss.ts'
import { cosineDistanceDefinition } from './cosine-distance.ts'
import { crossEntropyDefinition } from './cross-entropy.ts'
import { distillationDefinition } from './distillation.ts'
import { hingeDefinition } from './hinge.ts'
import { lpDefinition } from './lp.ts'
import { mseDefinition } from './mse.ts'
import { weightedSum } from './weighted-sum.ts'

export { cosineDistance } from './cosine-distance.ts'
export { type CrossEntropyOptions, crossEntropy } from './cross-entropy.ts'
export { type DistillationOptions, distillation } from './distillation.ts'
export { graphLoss } from './graph-loss.ts'
export { type HingeOptions, hinge } from './hinge.ts'
export { type LpOptions, lp } from './lp.ts'
export { mse } from './mse.ts'
export type { AgainstOption } from './pairs.ts'
export { type LossTerm, weightedSum } from './weighted-sum.ts'

export const LOSSES = {
  'cross-entropy': crossEntropyDefinition,
  mse: mseDefinition,
  lp: lpDefinition,
  distillation: distillationDefinition,
  'cosine-distance': cosineDistanceDefinition,
  hinge: hingeDefinition,
} satisfies Definitions<LossBody>

const FACTOR = /^\s*([\d.]+(?:e[+-]?\d+)?)\s*\*\s*/i

/**
 * Reads `cross-entropy:labelSmoothing=0.1`, or a sum: `0.3*cross-entropy + 0.7*distillation:temperature=4`.
 * @throws FewbitError LOSS_UNKNOWN, LOSS_OPTION
 */
export function parseLoss(text: string): Loss {
  const terms = text.split(/\s\+\s/).map((term) => {
    const weight = Number(FACTOR.exec(term)?.[1] ?? 1)
    return { weight, loss: parseRecord(LOSS, LOSSES, term.replace(FACTOR, '')) }
  })
  const [first] = terms
  return first && terms.length === 1 && first.weight === 1 ? first.loss : weightedSum(terms)
}

/** @throws FewbitError LOSS_UNKNOWN, LOSS_OPTION */
export function readLoss(json: RecordJson): Loss {
  const terms = json.name === 'sum' && (json.options?.terms as readonly (RecordJson & { weight: number })[] | undefined)
  if (!terms) return readRecord(LOSS, LOSSES, json)
  return weightedSum(terms.map(({ weight, name, options = {} }) => ({ weight, loss: readLoss({ name, options }) })))
}
