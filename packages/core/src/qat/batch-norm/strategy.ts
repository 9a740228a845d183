import type { Value } from '../../ir/index.ts'
import type { NormSite } from './site.ts'

/** Values that hold the next content of initializers, by the initializer's name. */
export type Updates = ReadonlyMap<string, Value>

/** How BatchNormalization behind a quantized layer is treated while training. Numbers are those of MQBench's paper (arXiv:2111.03759). */
export interface BatchNormStrategy {
  readonly name: string
  readonly number: number
  readonly title: string
  readonly summary: string
  readonly source: string
  /**
   * Where the layer gets its weight. `merged`: folded before training, for good. `folded`: folded in the graph from what is trained, with
   * the running statistics in the form in which the network is evaluated. `separate`: the layer has its own, and BatchNormalization
   * stays behind it.
   */
  readonly kind: 'merged' | 'folded' | 'separate'
  /** BatchNormalization keeps the statistics that it has. */
  readonly frozen?: true
  /** Writes a `folded` layer in the form in which it trains. Opset 18 or later. */
  readonly train?: (site: NormSite) => Updates
}
