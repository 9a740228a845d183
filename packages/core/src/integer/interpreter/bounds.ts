import { intervalOf } from './interval.ts'
import { saturableShare } from './kernels/saturating.ts'
import type { IntegerNetwork } from './network.ts'

/** How far the sums of one layer can go, for any input. */
export interface SumBound {
  readonly node: string
  readonly opType: string
  /** Products in each sum. */
  readonly terms: number
  readonly lowest: number
  readonly highest: number
  /** Bits between the farthest sum and the end of int32; below 0 a sum can wrap, but of 16-bit data, which are added in 64 bits then. */
  readonly headroomBits: number
  /** Share of neighbouring weights whose products with unsigned codes can saturate 16 bits, where codes have 8 bits. */
  readonly saturablePairs?: number
}

/**
 * Intervals of all sums: each weight meets the code that takes the sum farthest, codes being anywhere between the ends of their grid. A layer
 * whose interval lies within int32 cannot wrap, whatever the order of its additions, because registers count modulo 2^32.
 */
export function sumBounds({ steps }: IntegerNetwork): SumBound[] {
  return steps.flatMap((step) => {
    if (step.kind !== 'layer' || !step.built.sums) return []
    const { terms } = step.built.sums
    const { weights, channels, stride, order } = step.built.sums
    const pairs = order ? { saturablePairs: saturableShare(weights, channels, stride, order) } : {}
    const { lowest, highest } = intervalOf(step.built.sums)
    const farthest = Math.max(-lowest, highest + 1)
    const { name, opType } = step.node
    return [{ node: name, opType, terms, lowest, highest, headroomBits: Math.log2(2 ** 31 / farthest), ...pairs }]
  })
}
