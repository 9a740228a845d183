export * from './convert-qat.ts'
export type { Conversion, StepDifference } from './measure-conversion.ts'
export * from './prepare-qat.ts'
export type { PrepareQatOptions, QuantizerRequest } from './qat-options.ts'
