import type { OpRule, Target } from '../quant/index.ts'
import { CLIPS, each, fuse, INTEGER, MOVES, PLAIN_GEMM, REORDERS, RESHAPES } from './rows.ts'
import { tflite } from './tflite.ts'

const ONE_SCALE = { granularity: 'tensor' } as const
const INPUT: OpRule = { mode: 'integer', align: 'input' }
const OUTPUT: OpRule = { mode: 'integer', align: 'output' }

/** CMSIS-NN on Cortex-M, int8: the arithmetic of TensorFlow Lite, fewer operators. Facts and sources: docs/targets/cmsis-nn.md. */
export const cmsisNn: Target = {
  ...tflite,
  name: 'cmsis-nn',
  title: 'CMSIS-NN, int8',
  source: 'docs/targets/cmsis-nn.md',
  evidence: 'documentation',
  ops: {
    ...each(INTEGER, ['Conv', 'ConvTranspose', 'Add', 'Mul']),
    Gemm: { ...PLAIN_GEMM, weights: ONE_SCALE },
    MatMul: { mode: 'integer', dynamicWeight: true, weights: ONE_SCALE },
    Softmax: { mode: 'integer', fixedOutput: { scale: 1 / 256, zeroPoint: -128 } },
    ...each(INPUT, ['AveragePool', 'GlobalAveragePool', 'ReduceMean', 'Pad', 'Relu', 'Clip']),
    ...each(OUTPUT, ['Concat', 'Max', 'Min']),
    // Copies need no kernel of the library: they keep codes and scale.
    ...each(MOVES, ['MaxPool', 'GlobalMaxPool', ...RESHAPES, ...REORDERS]),
  },
  exporters: ['cmsis-nn', 'tflite', 'qdq'],
  fuse: fuse(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Add', 'Mul'], CLIPS, 'accumulator'),
}
