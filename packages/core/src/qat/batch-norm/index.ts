import { problem } from '../../util/index.ts'
import { foldTorch } from './fold-torch.ts'
import { freeze } from './freeze.ts'
import { merge } from './merge.ts'
import { naiveFold } from './naive-fold.ts'
import { none } from './none.ts'
import type { BatchNormStrategy } from './strategy.ts'
import { whitePaperFold } from './white-paper-fold.ts'

export { foldBehindRounding, foldRunning } from './fold.ts'
export * from './site.ts'
export * from './strategy.ts'

/** By name, in the order of their numbers. */
export const BATCH_NORM_STRATEGIES = {
  none,
  merge,
  freeze,
  'naive-fold': naiveFold,
  'white-paper-fold': whitePaperFold,
  'fold-torch': foldTorch,
} satisfies Record<string, BatchNormStrategy>

export type BatchNormName = keyof typeof BATCH_NORM_STRATEGIES

/** @throws FewbitError QAT_BATCH_NORM for a name that is none of these. */
export function batchNormStrategy(name: string): BatchNormStrategy {
  const found = Object.hasOwn(BATCH_NORM_STRATEGIES, name) ? BATCH_NORM_STRATEGIES[name as BatchNormName] : undefined
  if (found) return found
  throw problem('QAT_BATCH_NORM', `there is no strategy "${name}" for BatchNormalization`, {
    at: { option: 'batchNorm' },
    fix: `choose one of ${Object.keys(BATCH_NORM_STRATEGIES).join(', ')}`,
  })
}
