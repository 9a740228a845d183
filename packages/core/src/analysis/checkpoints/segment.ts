import { dependencies, extract, type Model, nodesLeadingTo, type Value } from '../../ir/index.ts'
import type { Checkpoint } from './checkpoint.ts'

/** A part of a network that computes one checkpoint from others. */
export interface Segment {
  readonly model: Model
  /** Name of the checkpoint's tensor among the outputs. */
  readonly output: string
  /** By the name of the input: the checkpoint whose tensor it takes. Inputs of the network keep their names, and are not listed. */
  readonly takes: ReadonlyMap<string, Checkpoint>
}

/**
 * The part of the network between a checkpoint and those before it. It holds the quantizers of what it takes, so that an engine fuses the same
 * kernels as in the whole.
 */
export function segment(model: Model, point: Checkpoint, others: readonly Checkpoint[]): Segment {
  const stops = new Map(others.filter((other) => other.fed !== point.fed).map((other) => [other.fed, other]))
  const cut = new Set<Value>([...stops.keys(), ...model.graph.inputs.filter((value) => !value.constant)])
  const nodes = nodesLeadingTo(model.graph, [point.seen], cut)
  const read = new Set(nodes.flatMap((node) => [...dependencies(node)]))
  const inputs = [...read].filter((value) => cut.has(value))
  const takes = inputs.flatMap((value): [string, Checkpoint][] => {
    const other = stops.get(value)
    return other && !model.graph.isInput(value) ? [[value.name, other]] : []
  })
  return { model: extract(model, inputs, [point.seen]), output: point.seen.name, takes: new Map(takes) }
}
