import type { OptionsOf } from '../util/index.ts'
import { type GradientScale, gradientScaleOption, type Mask, maskOption } from './gradient-options.ts'
import { type ScaleOptions, scaleOption } from './power-of-two-scale.ts'
import { learnedStepGradients, uniformOps } from './uniform-op.ts'

/** Operators of quantizers whose gradients are those of learned steps or of fixed ones: the latter never ask for the scale's. */
export const UNIFORM_OPS = uniformOps({ base: 'FakeQuantize', attrs: {}, gradients: learnedStepGradients })

/** Options of quantizers that learn steps. */
export interface LearnedStepOptions extends ScaleOptions {
  readonly mask: Mask
  readonly gradientScale: GradientScale
  /** Whether zero points are learned, of specs that have one. */
  readonly learnZeroPoint: boolean
}

export const learnedStepOptions = (mask: Mask, learnZeroPoint: boolean): OptionsOf<LearnedStepOptions> => ({
  mask: maskOption(mask),
  gradientScale: gradientScaleOption('features'),
  learnZeroPoint: { summary: 'zero points are learned as well, where the target has them', default: learnZeroPoint },
  scale: scaleOption,
})
