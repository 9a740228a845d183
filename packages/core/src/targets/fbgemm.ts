import type { OpRule, Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** The kernel keeps the scale of its input: what PyTorch calls shared quantization parameters. */
const SHARES: OpRule = { mode: 'integer', align: 'input' }

/** Results of a fixed range use all 256 codes, although others are kept to 128. */
const fixed = (scale: number, zeroPoint: number): OpRule => ({
  mode: 'integer',
  fixedOutput: { scale, zeroPoint },
  activations: { codes: [0, 255] },
})

/** PyTorch on x86, FX graph mode with the qconfig `fbgemm`. Facts and sources: docs/targets/fbgemm.md. */
export const fbgemm: Target = {
  name: 'fbgemm',
  title: 'PyTorch FBGEMM',
  source: 'docs/targets/fbgemm.md',
  evidence: 'engine',
  // 127 · 128 · 2 stays within the 16 bits that pairs of products are added in; PyTorch saturates at 255 all the same.
  activations: { bits: 8, signed: false, symmetric: false, codes: [0, 127], headroom: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'channel' },
  bits: { weights: [8], activations: [8] },
  kernels: { activations: ['uint8'], weights: ['int8'] },
  rounding: 'half-even',
  dispatch: 'listed',
  ops: {
    ...each(INTEGER, ['Conv', 'MatMul']),
    Gemm: PLAIN_GEMM,
    ConvTranspose: { mode: 'integer', weights: { granularity: 'tensor' } },
    ...each(INTEGER, ['Add', 'Mul', 'BatchNormalization', 'InstanceNormalization', 'GroupNormalization']),
    ...each(INTEGER, ['Elu', 'HardSwish', 'LeakyRelu', 'PRelu']),
    ...each(SHARES, ['AveragePool', 'GlobalAveragePool', 'ReduceMean', 'Relu', 'Clip']),
    Concat: { mode: 'integer', align: 'output' },
    ...each(fixed(1 / 256, 0), ['Sigmoid', 'HardSigmoid', 'Softmax']),
    Tanh: fixed(2 / 256, 128),
    ...each(MOVES, ['MaxPool', ...RESHAPES, ...REORDERS]),
    Resize: MOVES_NEAREST,
  },
  fuse: fuse(['Conv', 'Gemm', 'MatMul', 'Add', 'Mul', 'BatchNormalization'], ['Relu'], 'accumulator'),
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
