import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** Convolutions add the other branch of a residual connection in their own kernel, and clip after it. */
const CONV_CHAINS = ['Add+Relu', 'Add+Clip', 'Add', 'Relu', 'Clip', 'Swish', 'HardSwish', 'Mish', 'Gelu'] as const
const MATRIX_CHAINS = ['Relu', 'Clip', 'Swish', 'Gelu'] as const

/** TensorRT, explicit quantization. Facts and sources: docs/targets/tensorrt.md. */
export const tensorrt: Target = {
  name: 'tensorrt',
  title: 'TensorRT',
  source: 'docs/targets/tensorrt.md',
  evidence: 'documentation',
  // All codes: QuantizeLinear ends where its type does, and a Clip before it would keep TensorRT from fusing.
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['int8'], weights: ['int8'] },
  rounding: 'half-even',
  points: 'inputs',
  repeats: 'drop',
  ops: {
    // Scales of ConvTranspose run along axis 1, its output channels.
    ...each(INTEGER, ['Conv', 'ConvTranspose']),
    Gemm: PLAIN_GEMM,
    MatMul: { mode: 'integer', dynamicWeight: true },
    ...each({ mode: 'integer', computedOperands: true }, ['Add', 'Mul']),
    ...each(INTEGER, ['AveragePool', 'GlobalAveragePool']),
    Concat: { mode: 'integer', share: 'all-inputs' },
    // They commute with quantizers: codes of the result are the result of the codes.
    ...each(MOVES, ['MaxPool', 'GlobalMaxPool', ...RESHAPES, ...REORDERS]),
    Resize: MOVES_NEAREST,
  },
  fuse: [
    ...fuse(['Conv'], CONV_CHAINS, 'accumulator'),
    ...fuse(['ConvTranspose', 'Gemm', 'MatMul', 'Add'], MATRIX_CHAINS, 'accumulator'),
  ],
  minOpset: 13,
  exporters: ['qdq', 'tensorrt-cache', 'tensorrt-ranges', 'json'],
}
