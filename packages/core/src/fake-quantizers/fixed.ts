import type { FakeQuantizer } from './define.ts'
import { type Mask, maskOption } from './gradient-options.ts'
import { UNIFORM_OPS } from './learned-step.ts'
import { uniformCall, uniformParams } from './uniform-state.ts'

export interface FixedOptions {
  readonly mask: Mask
}

/** Scales stay as observed; gradients pass through rounding. See docs/fake-quantizers/fixed.md. */
export const fixed: FakeQuantizer<FixedOptions> = {
  name: 'fixed',
  title: 'straight-through estimator with fixed scales',
  summary: 'keeps scales as calibrated; gradients pass rounding unchanged and stop where values are clipped',
  source: 'Bengio et al. 2013, arXiv:1308.3432; Jacob et al. 2018, arXiv:1712.05877',
  options: { mask: maskOption('rounded') },
  roles: ['weight', 'activation'],
  ops: UNIFORM_OPS,
  init: (cx, { mask }) =>
    uniformCall(UNIFORM_OPS, 'FakeQuantize', cx, {
      scaleTrained: false,
      zeroPointTrained: false,
      mask,
      gradientScale: 'none',
    }),
  toParams: uniformParams,
}
