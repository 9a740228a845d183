import type { FakeQuantizer } from './define.ts'
import { type LearnedStepOptions, learnedStepOptions, UNIFORM_OPS } from './learned-step.ts'
import { realScaleObstacle } from './power-of-two-scale.ts'
import { uniformCall, uniformParams } from './uniform-state.ts'

/**
 * Scales and zero points are trained. See docs/fake-quantizers/lsq-plus.md.
 *
 * The paper learns a real offset β. Here it is the zero point, −β/s, rounded in the forward pass: a real offset leaves zero between two
 * codes, which no integer kernel has.
 */
export const lsqPlus: FakeQuantizer<LearnedStepOptions> = {
  name: 'lsq-plus',
  title: 'learned step size and zero point',
  summary:
    'trains scales and, where the target has them, zero points: for activations that are not symmetric, such as Swish',
  source: 'Bhalgat et al. 2020, arXiv:2004.09576',
  options: learnedStepOptions('unrounded', true),
  roles: ['weight', 'activation'],
  weightObserver: 'lsq-plus',
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
