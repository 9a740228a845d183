import type { Target } from '../quant/index.ts'
import { each, fuse, INTEGER, MOVES, MOVES_NEAREST, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'

/** Accelerators on FPGAs that replace multiplications of scales by shifts. docs/targets/fpga-pot.md. */
export const fpgaPot: Target = {
  name: 'fpga-pot',
  title: 'FPGA with shifts',
  source: 'docs/targets/fpga-pot.md',
  evidence: 'literature',
  activations: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' },
  weights: { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' },
  bias: { bits: 30 },
  bits: { weights: [2, 3, 4, 5, 6, 7, 8], activations: [4, 8] },
  kernels: { activations: ['int4', 'int8'], weights: ['int2', 'int4', 'int8'] },
  rounding: 'half-even',
  dispatch: 'conservative',
  ops: {
    Conv: INTEGER,
    ConvTranspose: INTEGER,
    Gemm: PLAIN_GEMM,
    ...each({ mode: 'integer', align: 'large' }, ['Add', 'Sub']),
    ...each(INTEGER, ['Mul', 'AveragePool', 'GlobalAveragePool']),
    Concat: { mode: 'integer', align: 'output' },
    MaxPool: MOVES,
    Resize: MOVES_NEAREST,
    ...each(MOVES, [...RESHAPES, ...REORDERS]),
  },
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'Add'], ['Relu', 'Clip']),
  minOpset: 13,
  exporters: ['qdq', 'json'],
}
