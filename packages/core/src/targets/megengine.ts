import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, RESHAPES } from './rows.ts'

/** MegEngine: each module quantizes what it hands over, and the input passes a QuantStub. docs/targets/megengine.md. */
export const megengine: Target = {
  name: 'megengine',
  title: 'MegEngine',
  source: 'docs/targets/megengine.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor' },
  // qint8_narrow: two products of −128·−128 would overflow 16 bits.
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  bias: { bits: 32 },
  bits: { weights: [4, 8], activations: [4, 8] },
  kernels: { activations: ['int8', 'int4'], weights: ['int8', 'int4'] },
  // dnn/include/megdnn/dtype.h rounds with roundf.
  rounding: 'half-away',
  points: 'outputs',
  dispatch: 'listed',
  ops: {
    Conv: INTEGER,
    ConvTranspose: { mode: 'integer', attrs: { group: [1] } },
    Gemm: PLAIN_GEMM,
    MatMul: { mode: 'integer', dynamicWeight: true },
    ...each(INTEGER, [
      'Add',
      'Sub',
      'Mul',
      'Div',
      'Min',
      'Max',
      'Abs',
      'Exp',
      'Sigmoid',
      'Tanh',
      'HardSwish',
      'Concat',
    ]),
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, 'Transpose']),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu']),
  minOpset: 13,
  exporters: ['megengine', 'json'],
}
