import type { FakeQuantizer } from './define.ts'
import { type LearnedStepOptions, learnedStepOptions, UNIFORM_OPS } from './learned-step.ts'
import { realScaleObstacle } from './power-of-two-scale.ts'
import { uniformCall, uniformParams } from './uniform-state.ts'

/**
 * Scales are trained. See docs/fake-quantizers/lsq.md.
 *
 * Differs from MegEngine's kernel where there is a zero point: of clipped elements the paper's formula is (qmin − z) · g, and MegEngine
 * leaves z out. Differs from MQBench in the default gradient scale: the paper's number of features is that of one sample.
 */
export const lsq: FakeQuantizer<LearnedStepOptions> = {
  name: 'lsq',
  title: 'learned step size',
  summary: 'trains scales together with the weights, by the gradient of the rounding error',
  source: 'Esser et al. 2020, arXiv:1902.08153',
  options: learnedStepOptions('unrounded', false),
  roles: ['weight', 'activation'],
  weightObserver: 'lsq',
  // LSQ's scale is that of a grid about zero. With the zero point at the minimum the short range would end below zero, and nothing positive be left.
  affineWeightObserver: 'mse',
  ops: UNIFORM_OPS,
  obstacle: realScaleObstacle,
  init: (cx, { mask, gradientScale, learnZeroPoint, scale }) =>
    uniformCall(UNIFORM_OPS, 'FakeQuantize', cx, {
      scaleTrained: true,
      zeroPointTrained: learnZeroPoint,
      mask,
      gradientScale,
      scale,
    }),
  toParams: uniformParams,
}
