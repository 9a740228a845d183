export { type ClimbOptions, type ClimbResult, climb, type Ladder } from './climb.ts'
export { type CustomMetric, type MaxDrop, parseMaxDrop } from './floor.ts'
export type { LadderMemory, LadderState, LadderTrial } from './state.ts'
