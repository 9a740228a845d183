import { simulatedEnd } from '../integer/index.ts'
import { asTensor, type Dim, graphValues, type Model, type Node, type Value } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { dequantizedName } from '../quant/index.ts'
import { isFloat } from '../util/index.ts'

/** The same tensor in two versions of a network. */
export interface ValuePair {
  readonly name: string
  /** The node of the reference that computes it. */
  readonly node: Node
  readonly reference: Value
  /** In the candidate: what readers of the tensor see, so the dequantized tensor where there is one. */
  readonly candidate: Value
}

/**
 * Tensors that both networks have under one name, in the reference's graph order. fewbit's passes and quantizer keep names,
 * so a name is an identity. Tensors between a layer and an activation that its kernel absorbs are left out: they do not
 * exist on the backend, and asking for them would undo the fusion that is being judged.
 */
export function pairValues(reference: Model, candidate: Model, ops: OpRegistry): ValuePair[] {
  const values = new Map([...graphValues(candidate.graph)].map((value) => [value.name, value]))
  return [...reference.graph.nodes].flatMap((node) =>
    node.outputs.flatMap((value) => {
      const match = value && values.get(value.name)
      if (!value || !match?.producer || !areComparable(value, match) || isAbsorbed(match, ops)) return []
      const { made, by } = withoutActivation(value, node, values, ops)
      // A quantized output of the graph is dequantized already: it kept the name.
      const named = candidate.graph.isOutput(match) ? undefined : values.get(dequantizedName(value.name))
      return [{ name: made.name, node: by, reference: made, candidate: named ?? seenByReaders(match, ops) }]
    }),
  )
}

/** Where the candidate has no activation any more, because its codes end there, the tensor before it is the one behind it. */
function withoutActivation(value: Value, node: Node, candidate: ReadonlyMap<string, Value>, ops: OpRegistry) {
  const [activation] = isAbsorbed(value, ops) ? value.consumers() : []
  const made = activation?.outputs[0]
  return activation && made && !candidate.has(made.name) ? { made, by: activation } : { made: value, by: node }
}

/** Floats whose shapes do not contradict each other: unrelated networks share names such as `output`. */
export function areComparable(reference: Value, candidate: Value): boolean {
  const [r, c] = [asTensor(reference.type), asTensor(candidate.type)]
  if (!r || !isFloat(r.dtype) || (c && !isFloat(c.dtype))) return false
  if (!r.shape || !c?.shape) return true
  const { shape } = c
  return r.shape.length === shape.length && r.shape.every((dim, i) => !differ(dim, shape[i] ?? null))
}

const differ = (a: Dim, b: Dim): boolean => typeof a === 'number' && typeof b === 'number' && a !== b

/** A value between a layer and an activation that its kernel absorbs. */
export function isAbsorbed(value: Value, ops: OpRegistry): boolean {
  const [reader, ...others] = value.consumers()
  if (others.length > 0 || !reader || value.producer?.graph?.isOutput(value)) return false
  return hasTrait(reader, ops, 'fusable-activation')
}

/**
 * In models of others: past QuantizeLinear and DequantizeLinear, or the nodes that simulate them, if some reader takes the value through them.
 */
export function seenByReaders(value: Value, ops: OpRegistry): Value {
  const readers = value.consumers().filter((node) => node.inputs[0] === value)
  for (const reader of readers) {
    const end = simulatedEnd(reader)?.outputs[0]
    if (end) return end
  }
  const quantize = readers.find((node) => hasTrait(node, ops, 'quantizer'))
  const codes = quantize?.outputs[0]
  const dequantize = codes?.consumers().find((node) => hasTrait(node, ops, 'quantizer') && node.inputs[0] === codes)
  return dequantize?.outputs[0] ?? value
}

const hasTrait = (node: Node, ops: OpRegistry, trait: 'quantizer' | 'fusable-activation'): boolean =>
  ops.of(node)?.quant.traits?.includes(trait) ?? false
