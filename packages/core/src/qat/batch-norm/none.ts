import type { BatchNormStrategy } from './strategy.ts'

/**
 * The layer's own weight is quantized and BatchNormalization stays behind it, as papers of the academic setting do. Backends fold it all the
 * same: converting then puts γ/σ into the scales where each channel has one, and quantizes the folded weight anew where not.
 */
export const none: BatchNormStrategy = {
  name: 'none',
  number: -1,
  title: 'not folded',
  summary: 'the layer’s own weight is quantized; BatchNormalization stays a layer behind it',
  source: 'MQBench, arXiv:2111.03759, strategy −1',
  kind: 'separate',
}
