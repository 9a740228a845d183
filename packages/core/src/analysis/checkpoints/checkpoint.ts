import { isInternalOnly } from '../../engine/index.ts'
import { simulatedEnd } from '../../integer/index.ts'
import { asTensor, type Model, type Node, nodesLeadingTo, type Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { dtypeInfo, isFloat } from '../../util/index.ts'
import { isAbsorbed, seenByReaders } from '../pairs.ts'

/** A float tensor that can be looked at, and put in the place of, without changing what the kernels around it do. */
export interface Checkpoint {
  readonly name: string
  /** What computes it; the first quantizer for an input of the network. */
  readonly node: Node
  /** What its readers see: behind QuantizeLinear and DequantizeLinear where there are any. */
  readonly seen: Value
  /** Where a tensor may be put in its place: before them, so that kernels keep the quantizers that they absorb. */
  readonly fed: Value
  /** The quantizer's scale, where it is one constant. */
  readonly step?: number
  /** Of its codes. */
  readonly bits?: number
}

/**
 * The checkpoints of a network's main graph, in graph order. Tensors between a layer and its absorbed activation, codes, and constants that
 * quantizers make of weights are none.
 */
export function checkpoints({ graph }: Model, ops: OpRegistry): Checkpoint[] {
  const constant = constantValues([...graph.nodes])
  const simulated = simulatedQuantizers(graph)
  const ofInputs = graph.inputs.flatMap((value) => {
    const seen = seenByReaders(value, ops)
    const quantizer = value.consumers()[0]
    return seen === value || !quantizer ? [] : [checkpoint(value, seen, quantizer)]
  })
  const made = [...graph.nodes].flatMap((node) => {
    if (simulated.has(node) || ops.of(node)?.quant.traits?.includes('quantizer')) return []
    return node.outputs.flatMap((value) => {
      if (!value || constant.has(value) || !isFloatTensor(value)) return []
      if (isAbsorbed(value, ops) && !graph.isOutput(value)) return []
      return [checkpoint(value, seenByReaders(value, ops), node)]
    })
  })
  return [...ofInputs, ...made]
}

/** Nodes that together do what a quantizer does. */
function simulatedQuantizers(graph: Model['graph']): Set<Node> {
  return new Set(
    [...graph.nodes].flatMap((head) => {
      const end = simulatedEnd(head)?.outputs[0]
      const [value] = head.inputs
      return end && value ? nodesLeadingTo(graph, [end], new Set([value])) : []
    }),
  )
}

/** What a kernel computes before a checkpoint, first to last: the layer, where the checkpoint's node is an activation that it absorbs. */
export function absorbedBy({ node }: Checkpoint, ops: OpRegistry): Checkpoint[] {
  const [value] = node.inputs
  if (!value?.producer || !isAbsorbed(value, ops)) return []
  const inner: Checkpoint = { name: value.name, node: value.producer, seen: value, fed: value }
  return [...absorbedBy(inner, ops), inner]
}

function checkpoint(value: Value, seen: Value, node: Node): Checkpoint {
  const dequantize = seen === value ? undefined : seen.producer
  const [scale, codes] = [dequantize?.inputs[1]?.constant, asTensor(dequantize?.inputs[0]?.type)?.dtype]
  return {
    name: value.name,
    node,
    seen,
    fed: value,
    ...(scale?.size === 1 && { step: scale.numbers()[0] as number }),
    ...(codes !== undefined && !isFloat(codes) && { bits: dtypeInfo(codes).bits }),
  }
}

function isFloatTensor(value: Value): boolean {
  const dtype = asTensor(value.type)?.dtype ?? 'bool'
  return isFloat(dtype) && !isInternalOnly(dtype)
}

/** What depends on constants alone, such as dequantized weights. */
function constantValues(nodes: readonly Node[]): Set<Value> {
  const constant = new Set<Value>()
  const isConstant = (value: Value | null): boolean =>
    value === null || constant.has(value) || (value.constant !== null && value.constant !== undefined)
  for (const node of nodes) {
    const plain = [...node.subgraphs()].length === 0 && node.inputs.length > 0
    if (plain && node.inputs.every(isConstant)) for (const value of node.outputs) if (value) constant.add(value)
  }
  return constant
}
