export * from './descend.ts'
export { type LayerDetails, type RoundLayer, roundLayers } from './round-layers.ts'
export * from './rounding-problem.ts'
