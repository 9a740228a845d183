import type { FusePattern, Target } from '../quant/index.ts'
import { CLIPS, each, fuse, INTEGER, MOVES, PLAIN_GEMM, RESHAPES } from './rows.ts'

/** What sums products, and the elementwise operators that oneDNN runs behind it in the same kernel. */
const HOSTS = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'Add', 'Sub', 'Mul'] as const
const POST_OPS = [
  ...CLIPS,
  ...['PRelu', 'LeakyRelu', 'Elu', 'Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'Swish', 'Mish', 'Gelu'],
] as const

/** A convolution adds the other branch of a residual connection; of two, the first operand does. */
const SUMS = fuse(['Conv'], ['Add', ...POST_OPS.map((name) => `Add+${name}`)], 'accumulator').map(
  (pattern): FusePattern => ({ ...pattern, branch: 'first-operand' }),
)

/** OpenVINO on CPU: where its quantizer puts FakeQuantize. Facts and sources: docs/targets/openvino.md. */
export const openvino: Target = {
  name: 'openvino',
  title: 'OpenVINO CPU',
  source: 'docs/targets/openvino.md',
  evidence: 'engine',
  // Kernels take unsigned codes anyway, and the reader of QDQ gets the scale of signed ones in front of a Concat wrong.
  activations: { bits: 8, signed: false, symmetric: true, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'channel' },
  bits: { weights: [7, 8], activations: [8] },
  kernels: { activations: ['uint8', 'int8'], weights: ['int8'], mixed: true },
  rounding: 'half-even',
  points: 'inputs',
  repeats: 'drop',
  ops: {
    ...each(INTEGER, ['Conv', 'ConvTranspose']),
    Gemm: PLAIN_GEMM,
    MatMul: { mode: 'integer', dynamicWeight: true },
    ...each(INTEGER, ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow']),
    AveragePool: { mode: 'integer', align: 'input' },
    ...each(INTEGER, ['GlobalAveragePool', 'ReduceMean', 'ReduceSum', 'ReduceL2', 'Resize']),
    ...each(INTEGER, ['InstanceNormalization', 'GroupNormalization', 'MeanVarianceNormalization']),
    Concat: { mode: 'integer', align: 'output' },
    Pad: { mode: 'integer', align: 'input' },
    ...each(MOVES, [
      'MaxPool',
      'ReduceMax',
      ...RESHAPES,
      'Split',
      'Slice',
      'Transpose',
      'Tile',
      'Expand',
      'Gather',
      'DepthToSpace',
    ]),
  },
  fuse: [...SUMS, ...fuse(HOSTS, POST_OPS, 'accumulator')],
  minOpset: 13,
  exporters: ['openvino', 'qdq', 'json'],
}
