import type { Value } from '../../ir/index.ts'
import type { GradBuilder } from '../../ops/index.ts'
import type { Update } from '../optimizer.ts'

/** The gradient of the loss with λ/2·‖p‖² added to it. */
export const decayed = (g: GradBuilder, { grad, param, weightDecay }: Update): Value =>
  weightDecay === 0 ? grad : g.add(grad, g.mul(param, weightDecay))
