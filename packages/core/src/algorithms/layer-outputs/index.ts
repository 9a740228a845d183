export type { ChannelMeans } from './channel-means.ts'
export {
  calibrationBatches,
  floatMeans,
  type LayerMeans,
  type MeasureOptions,
  meansByLevel,
  quantizedMeans,
  writePart,
} from './measure.ts'
