import type { Target } from '../quant/index.ts'
import { CLIPS, each, fuse, INTEGER, MOVES, PLAIN_GEMM } from './rows.ts'

/** Core ML through coremltools. Facts and sources: docs/targets/coreml.md. */
export const coreml: Target = {
  name: 'coreml',
  title: 'Core ML',
  source: 'docs/targets/coreml.md',
  evidence: 'documentation',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bits: { weights: [4, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8', 'int4'] },
  rounding: 'half-even',
  // Activations pay on the Neural Engine only, and cost time everywhere else.
  defaultScheme: 'w8',
  points: 'inputs',
  repeats: 'drop',
  ops: {
    ...each(INTEGER, ['Conv', 'Add', 'AveragePool', 'GlobalAveragePool']),
    Gemm: PLAIN_GEMM,
    ...each({ mode: 'weights' }, ['ConvTranspose', 'MatMul']),
    MaxPool: MOVES,
  },
  fuse: fuse(['Conv', 'Gemm', 'Add'], CLIPS, 'accumulator'),
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
