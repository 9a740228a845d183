import type { Node } from '../../ir/index.ts'
import { clipBounds } from '../../passes/index.ts'
import type { RoundingMode } from '../../util/index.ts'
import type { Requantizer } from '../quantizers.ts'
import { gridOf } from './codes.ts'
import type { Result } from './layers/index.ts'
import { quantizer } from './schemes/real-values.ts'

/**
 * Where a kernel puts its result. A Relu or Clip in front of the quantizer cuts codes where it cuts real values, because rounding keeps
 * their order.
 * @returns undefined where the quantizer or the bounds are computed.
 */
export function resultOf({ quantizer: node, clip }: Requantizer, rounding: RoundingMode): Result | undefined {
  const grid = node.opType === 'QuantizeLinear' ? gridOf(node) : undefined
  if (!grid) return undefined
  const bounds = clip ? clipBounds(clip) : { lo: -Infinity, hi: Infinity }
  if (!bounds) return undefined
  const code = quantizer(grid, rounding)
  return { grid, min: code(bounds.lo), max: code(bounds.hi) }
}

export const nodesTakenIn = ({ quantizer: node, clip }: Requantizer): Node[] => (clip ? [clip, node] : [node])
