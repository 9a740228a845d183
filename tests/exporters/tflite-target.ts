import type { Target } from '@fewbit/core/quant'
import { onnxruntime } from '@fewbit/core/targets'

const integer = { mode: 'integer' } as const
const fixed = { mode: 'integer', fixedOutput: { scale: 1 / 256, zeroPoint: -128 } } as const

/** int8 as TFLite specifies it, for tests of the format: affine activations, symmetric weights, biases on the product's grid. */
export const int8Target: Target = {
  ...onnxruntime,
  name: 'int8-test',
  activations: { bits: 8, signed: true, symmetric: false, granularity: 'tensor' },
  kernels: { activations: ['int8'], weights: ['int8'] },
  ops: {
    ...onnxruntime.ops,
    Concat: { mode: 'integer', align: 'output' },
    MaxPool: { mode: 'pass', share: 'input0', align: 'input' },
    Conv: integer,
    Gemm: { mode: 'integer', attrs: { alpha: [1], beta: [1] } },
    MatMul: integer,
    ReduceMean: integer,
    AveragePool: { mode: 'integer', align: 'input' },
    Sigmoid: fixed,
    Softmax: fixed,
  },
  exporters: ['tflite'],
}
