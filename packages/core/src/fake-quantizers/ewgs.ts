import { attribute } from '../ir/index.ts'
import { attrs } from '../ops/index.ts'
import type { FakeQuantizer } from './define.ts'
import { type LearnedStepOptions, learnedStepOptions } from './learned-step.ts'
import { realScaleObstacle } from './power-of-two-scale.ts'
import { uniformOps } from './uniform-op.ts'
import { uniformCall, uniformParams } from './uniform-state.ts'

export interface EwgsOptions extends LearnedStepOptions {
  readonly delta: number
}

/**
 * Inside: dx = g · (1 + δ · sign(g) · (x − y) / range), the paper's equation 5 with x and y normalized to an interval of length 1:
 * range = (qmax − qmin) · s.
 */
const EWGS_OPS = uniformOps({
  base: 'Ewgs',
  attrs: { delta: attrs.float(0) },
  header: ['delta = 0.0'],
  gradients(cx, grid, dy) {
    const { g } = cx
    const { delta, quant_min, quant_max } = cx.attrs
    const scaled = () => {
      const share = g.div(delta / (quant_max - quant_min), grid.step)
      return g.add(dy, g.mul(g.op('Abs', [dy]), g.mul(g.sub(cx.x(0), cx.y(0)), share)))
    }
    return [cx.wanted(0) ? grid.byX(scaled()) : null, ...grid.byParameters(dy)]
  },
})

/**
 * Scales each element's gradient by its rounding error. See docs/fake-quantizers/ewgs.md.
 *
 * The paper learns the ends of an interval and an output scale; here these are the scale and zero point of a grid that targets have, learned
 * as LSQ does.
 */
export const ewgs: FakeQuantizer<EwgsOptions> = {
  name: 'ewgs',
  title: 'element-wise gradient scaling',
  summary: 'makes gradients larger or smaller by how far each element is from its code, and trains scales as LSQ does',
  source: 'Lee et al. 2021, arXiv:2104.00903',
  options: {
    delta: { summary: 'share of a gradient that an error of the whole range adds', default: 1e-3, least: 0 },
    ...learnedStepOptions('unrounded', false),
  },
  roles: ['weight', 'activation'],
  weightObserver: 'lsq',
  affineWeightObserver: 'mse',
  ops: EWGS_OPS,
  obstacle: realScaleObstacle,
  init(cx, { delta, mask, gradientScale, learnZeroPoint, scale }) {
    const start = { scaleTrained: true, zeroPointTrained: learnZeroPoint, mask, gradientScale, scale }
    const call = uniformCall(EWGS_OPS, 'Ewgs', cx, start)
    return { ...call, attributes: { ...call.attributes, delta: attribute.float(delta) } }
  },
  toParams: uniformParams,
}
