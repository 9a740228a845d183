import type { OptionSpec } from '../util/index.ts'

/**
 * Which elements let their gradient through. `rounded`: those whose code is not clipped after rounding (PyTorch, MQBench, PPQ's LSQ);
 * `margin`: the same, except that a tie half a step beyond the ends counts as inside (MegEngine's TQT); `unrounded`: those between the
 * values of the outermost codes (the LSQ paper, MegEngine's LSQ); `none`: all (PPQ's default function).
 */
export type Mask = 'rounded' | 'margin' | 'unrounded' | 'none'

/**
 * What the gradients of scales are divided by: √(n · Qp), n being the elements that share the scale, of one sample for activations
 * (`features`, the LSQ paper) or of the batch (`elements`, MQBench); all elements of the tensor (`tensor`, PPQ); or nothing.
 */
export type GradientScale = 'features' | 'elements' | 'tensor' | 'none'

export const maskOption = (fallback: Mask): OptionSpec<Mask> => ({
  summary: 'which elements let their gradient through, at the ends of the range',
  default: fallback,
  choices: ['rounded', 'margin', 'unrounded', 'none'],
})

export const gradientScaleOption = (fallback: GradientScale): OptionSpec<GradientScale> => ({
  summary: 'what the gradients of scales are divided by the root of, times the highest code',
  default: fallback,
  choices: ['features', 'elements', 'tensor', 'none'],
})
