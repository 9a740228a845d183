import { attribute, Tensor } from '../ir/index.ts'
import { attrs } from '../ops/index.ts'
import type { FakeQuantizer } from './define.ts'
import { type LearnedStepOptions, learnedStepOptions } from './learned-step.ts'
import { realScaleObstacle } from './power-of-two-scale.ts'
import { uniformOps } from './uniform-op.ts'
import { uniformCall, uniformParams } from './uniform-state.ts'

export interface QDropOptions extends LearnedStepOptions {
  readonly probability: number
}

/** Where noise lies below the probability, the grid's value, with LSQ's gradients; elsewhere x, whose gradient passes. */
const QDROP_OPS = uniformOps({
  base: 'QDrop',
  inputs: ['noise'],
  attrs: { probability: attrs.float(0.5) },
  header: ['probability = 0.5'],
  lines: [
    'probability = Constant<value_float = @FLOAT(probability)>()',
    'isQuantized = Less(noise, probability)',
    'y = Where(isQuantized, quantized, x)',
  ],
  gradients(cx, grid, dy) {
    const { g } = cx
    const isQuantized = g.less(cx.x(3), cx.attrs.probability)
    const through = () => g.where(isQuantized, grid.byX(dy), dy)
    return [cx.wanted(0) ? through() : null, ...grid.byParameters(g.where(isQuantized, dy, 0))]
  },
})

/** Quantizes a random part of the elements in each step. See docs/fake-quantizers/qdrop.md. */
export const qdrop: FakeQuantizer<QDropOptions> = {
  name: 'qdrop',
  title: 'random dropping of activation quantization',
  summary:
    'leaves each element in float with some probability, for reconstruction on few samples; evaluation quantizes all',
  source: 'Wei et al. 2022, arXiv:2203.05740',
  options: {
    probability: { summary: 'of an element to be quantized', default: 0.5, least: 0, most: 1 },
    ...learnedStepOptions('rounded', false),
  },
  roles: ['activation'],
  partner: 'soft-rounding',
  ops: QDROP_OPS,
  obstacle: realScaleObstacle,
  init(cx, { probability, mask, gradientScale, learnZeroPoint, scale }) {
    const start = { scaleTrained: true, zeroPointTrained: learnZeroPoint, mask, gradientScale, scale }
    const call = uniformCall(QDROP_OPS, 'QDrop', cx, start)
    return {
      op: call.op,
      inputs: [
        ...call.inputs,
        // Below every probability but 0, with which nothing is ever quantized in training.
        { name: 'noise', initial: Tensor.float32([], [-1]), trained: false, random: true },
      ],
      attributes: { ...call.attributes, probability: attribute.float(probability) },
    }
  },
  toParams: uniformParams,
}
