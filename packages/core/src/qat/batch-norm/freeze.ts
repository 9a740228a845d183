import { foldRunning } from './fold.ts'
import type { BatchNormStrategy } from './strategy.ts'

export const freeze: BatchNormStrategy = {
  name: 'freeze',
  number: 1,
  title: 'frozen statistics',
  summary: 'every step folds the running statistics, which do not change; γ and β are trained',
  source: 'MQBench, arXiv:2111.03759, strategy 1',
  kind: 'folded',
  frozen: true,
  train: foldRunning,
}
