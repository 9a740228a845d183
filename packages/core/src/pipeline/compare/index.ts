export { KNOWN_CAUSES } from './causes.ts'
export { type CompareOptions, type Comparison, compare } from './compare.ts'
export type { LayerDifference, Parting } from './locate.ts'
export type { SampleDifference } from './outputs.ts'
