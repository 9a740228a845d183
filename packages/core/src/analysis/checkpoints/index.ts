export { absorbedBy, type Checkpoint, checkpoints } from './checkpoint.ts'
export { type Difference, differenceOf, isWithin, mergeDifferences, type Tolerance } from './difference.ts'
export { type MatchedPair, matchCheckpoints } from './match.ts'
export { type Segment, segment } from './segment.ts'
