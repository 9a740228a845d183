export * from './define.ts'
export type { GradientScale, Mask } from './gradient-options.ts'
export * from './registry.ts'
export { softRoundingPenalty } from './soft-rounding.ts'
