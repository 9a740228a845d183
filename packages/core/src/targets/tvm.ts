import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** Apache TVM on ARM CPUs as MQBench deploys to it: shifts instead of multiplications. docs/targets/tvm.md. */
export const tvm: Target = {
  name: 'tvm',
  title: 'Apache TVM (power-of-two scales)',
  source: 'docs/targets/tvm.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' },
  bias: { bits: 32 },
  bits: { weights: [4, 5, 6, 7, 8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  dispatch: 'conservative',
  ops: {
    Conv: INTEGER,
    Gemm: PLAIN_GEMM,
    MatMul: INTEGER,
    Add: INTEGER,
    Mul: INTEGER,
    AveragePool: INTEGER,
    GlobalAveragePool: INTEGER,
    Concat: INTEGER,
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'Gemm', 'Add'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
