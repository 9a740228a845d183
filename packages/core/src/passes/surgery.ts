import { type Node, needsIdentity, replaceAllUses, type Tensor, tensorType, type Value } from '../ir/index.ts'
import { invariant, must } from '../util/index.ts'
import { type Decline, decline } from './rule.ts'
import type { RuleContext } from './rule-context.ts'

/**
 * Removes `absorbed`, whose effect is now part of `producer`: the producer's output 0 becomes the value that `absorbed`
 * computed, with its name and readers. `absorbed` must be the only reader of the producer's output.
 */
export function absorb(producer: Node, absorbed: Node): void {
  const result = must(absorbed.outputs[0], 'output of the absorbed node')
  const between = must(producer.outputs[0], 'output of the producer')
  invariant(
    between.consumers().every((c) => c === absorbed),
    () => `"${between.name}" has other readers`,
  )
  absorbed.setOutput(0, null)
  must(absorbed.graph, 'graph').remove(absorbed)
  producer.setOutput(0, result)
}

/** The node that computes `value`, if `reader` in the same graph is all that ever sees it; else the reason why not. */
export function soleProducer(
  value: Value | null | undefined,
  reader: Node,
  cx: RuleContext,
): Node | Decline | undefined {
  const producer = value?.producer
  if (!value || !producer || producer.graph !== reader.graph) return undefined
  if (cx.isOutput(value)) return decline(`"${value.name}" is a graph output`)
  if (value.useCount !== 1) return decline(`"${value.name}" has other readers`)
  return producer
}

export interface Bypass {
  readonly node: Node
  readonly source: Value
}

/** Checks that readers of the node's output 0 may read `source` instead; graph outputs keep their names. */
export function canBypass(node: Node, source: Value | null | undefined): Bypass | Decline {
  const output = must(node.outputs[0], 'output')
  if (!source) return decline('the input is missing')
  if (node.outputs.some((o, i) => i > 0 && o && (o.useCount > 0 || node.graph?.isOutput(o)))) {
    return decline('another output is used')
  }
  if (node.graph?.isOutput(output) && (source.constant || needsIdentity(output, source))) {
    return decline(`"${source.name}" cannot take the name of the graph output "${output.name}"`)
  }
  return { node, source }
}

export function bypass({ node, source }: Bypass): string {
  replaceAllUses(must(node.outputs[0], 'output'), source)
  must(node.graph, 'graph').remove(node)
  return `removed ${node.opType}; readers take "${source.name}"`
}

/** Cuts a computed value off its producer and makes it an initializer of the same graph, under the same name. */
export function becomeInitializer(value: Value, tensor: Tensor): void {
  const producer = must(value.producer, `producer of "${value.name}"`)
  producer.setOutput(value.outputIndex, null)
  value.constant = tensor
  value.type = tensorType(tensor.dtype, tensor.dims)
  must(producer.graph, 'graph').initializers.add(value)
}
