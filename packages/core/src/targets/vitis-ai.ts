import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** AMD (Xilinx) Vitis AI: a DPU that shifts, so that every scale is a power of two, biases included. docs/targets/vitis-ai.md. */
export const vitisAi: Target = {
  name: 'vitis-ai',
  title: 'AMD Vitis AI DPU',
  source: 'docs/targets/vitis-ai.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' },
  // The tools round weights half to even before they store them; the DPU rounds results half up.
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil', rounding: 'half-even' },
  bias: { bits: 8, scale: 'own', powerOfTwo: 'ceil' },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-up',
  points: 'outputs',
  dispatch: 'conservative',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each(INTEGER, [
      'Add',
      'Mul',
      'AveragePool',
      'GlobalAveragePool',
      'LeakyRelu',
      'PRelu',
      'HardSigmoid',
      'HardSwish',
    ]),
    Concat: { mode: 'integer', align: 'output' },
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip', 'LeakyRelu', 'PRelu']),
  minOpset: 13,
  exporters: ['vitis', 'json'],
}
