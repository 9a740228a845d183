import { type Model, type Use, type Value, valuesByName } from '../../ir/index.ts'
import type { QuantPlan, TensorPlan } from '../../quant/index.ts'

/** A tensor of the plan in a part of the network. */
export interface PlannedUses {
  readonly tensor: TensorPlan
  readonly value: Value
  /** Where the part reads it quantized. */
  readonly uses: readonly Use[]
  /** All of its readers are in the part. */
  readonly isWhole: boolean
}

export function plannedUses({ graph }: Model, { tensors }: QuantPlan): PlannedUses[] {
  const values = valuesByName(graph)
  return tensors.flatMap((tensor) => {
    const value = values.get(tensor.value)
    const readers = new Set(tensor.readers)
    const uses = value?.uses().filter(({ node }) => readers.has(node.name)) ?? []
    const reading = new Set(uses.map(({ node }) => node.name))
    return value && uses.length > 0 ? [{ tensor, value, uses, isWhole: reading.size === readers.size }] : []
  })
}
