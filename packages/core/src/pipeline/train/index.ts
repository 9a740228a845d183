export type { OscillatingWeight, OscillationReport } from './oscillation-report.ts'
export type { StepProfile, StepTrace } from './profile-subject.ts'
export * from './profile-train.ts'
export * from './restore-norms.ts'
export { type TrainQFloatOptions, type TrainResult, train } from './train.ts'
export * from './train-options.ts'
export {
  type QFloatReport,
  type TrainedQFloat,
  type TrainQatOptions,
  type TrainQatResult,
  trainQat,
  trainQatOn,
} from './train-qat.ts'
export { stampTraining, TRAINING_KEY, type TrainRecipe } from './train-recipe.ts'
export type { TrainReport } from './train-report.ts'
