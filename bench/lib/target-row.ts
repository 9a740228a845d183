/** What one backend makes of one network; JSON of bench/results/targets.json. */
export interface TargetRow {
  readonly target: string
  readonly network: string
  readonly scheme?: string
  readonly float?: Readonly<Record<string, number>>
  readonly quantized?: Readonly<Record<string, number>>
  /** Share of multiply-accumulates in integers, 0 to 1. */
  readonly integerShare?: number
  readonly observer?: string
  readonly floatNodes?: number
  readonly seconds?: number
  /** Why the backend cannot hold the network. */
  readonly refused?: string
}
