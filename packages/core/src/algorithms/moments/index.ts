export { clippedNormal, type Moments } from './clipped-normal.ts'
export { weightsOf } from './linear-rule.ts'
export { type MomentOptions, propagateMoments } from './propagate.ts'
export { forChannels, type ValueMoments } from './value-moments.ts'
