import type { Model, Node } from '../ir/index.ts'
import { readAttrs } from './infer.ts'
import { type OpRegistry, versionIn } from './registry.ts'

/** The axis of output channels in a weight of this rank, where the operator has weights. */
export function weightAxis(node: Node, rank: number, model: Model, ops: OpRegistry): number | undefined {
  const def = ops.of(node)
  return def?.weightChannelAxis?.(readAttrs(def, node, versionIn(def, model) ?? def.since[0] ?? 1), rank)
}
