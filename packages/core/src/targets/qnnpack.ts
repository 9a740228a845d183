import type { Target } from '../quant/index.ts'
import { fbgemm } from './fbgemm.ts'
import { each } from './rows.ts'

/** PyTorch on Arm, FX graph mode with the qconfig `qnnpack`. Facts and sources: docs/targets/qnnpack.md. */
export const qnnpack: Target = {
  ...fbgemm,
  name: 'qnnpack',
  title: 'PyTorch QNNPACK',
  source: 'docs/targets/qnnpack.md',
  activations: { bits: 8, signed: false, symmetric: false, granularity: 'tensor' },
  weights: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
  bias: { bits: 32 },
  ops: {
    ...fbgemm.ops,
    ...each({ mode: 'integer', fixedOutput: { scale: 1 / 256, zeroPoint: 0 } }, ['Sigmoid', 'HardSigmoid', 'Softmax']),
    Tanh: { mode: 'integer', fixedOutput: { scale: 2 / 256, zeroPoint: 128 } },
  },
}
