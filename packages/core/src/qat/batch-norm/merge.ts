import type { BatchNormStrategy } from './strategy.ts'

export const merge: BatchNormStrategy = {
  name: 'merge',
  number: 0,
  title: 'merged',
  summary: 'running statistics are folded into weights and biases once; BatchNormalization is gone',
  source: 'MQBench, arXiv:2111.03759, strategy 0',
  kind: 'merged',
  frozen: true,
}
