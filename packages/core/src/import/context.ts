import { type Attribute, type Graph, type Model, Node, type Tensor, type UniqueNames, Value } from '../ir/index.ts'
import { nodeLabel, type OpRegistry } from '../ops/index.ts'
import type { Diagnostics } from '../util/index.ts'

/** State of one import. The model is a copy that the import owns. */
export interface ImportContext {
  readonly model: Model
  /** The model's main graph. Nested graphs and functions are left as they are. */
  readonly graph: Graph
  readonly ops: OpRegistry
  readonly diagnostics: Diagnostics
  readonly names: UniqueNames
  /** Numbers for values that parameters are told apart by. */
  readonly ids: Map<Value, number>
  /** DynamicQuantizeLinear nodes that have been reported. */
  readonly dynamic: Set<Node>
}

/** QuantizeLinear of ONNX or of ONNX Runtime's domain, which had 4 and 16 bits first. */
export const isQuantize = (node: Node): boolean => node.opType === 'QuantizeLinear' && isOnnx(node)
export const isDequantize = (node: Node): boolean => node.opType === 'DequantizeLinear' && isOnnx(node)

const isOnnx = ({ domain }: Node): boolean => domain === '' || domain === 'com.microsoft'

/** The data of an initializer that no caller can replace. */
export const constantOf = (value: Value | null | undefined, graph: Graph): Tensor | undefined =>
  value?.constant && value.producer === null && !graph.isInput(value) ? value.constant : undefined

/** Says that a node stays as it is, because a plan cannot hold what it does. */
export function keep(node: Node, why: string, { diagnostics }: ImportContext): void {
  diagnostics.warn('IMPORT_KEPT', `${node.qualifiedType} "${nodeLabel(node)}" stays in the network: ${why}`, {
    at: { node: nodeLabel(node) },
    fix: 'quantize the float model that this one was made from, if the node has to go',
  })
}

/** ONNX Runtime and fewbit append this to the name of what they quantize. */
const SUFFIX = /_(quantized|QuantizeLinear|DequantizeLinear)(_Output|_Input)?(_\d+)?$/

/** The name that a tensor had before it was quantized, as far as its name tells. */
export const plainName = (name: string): string => name.replace(SUFFIX, '') || name

/**
 * A name for the real values of codes: their own without the suffix. Codes that have none make room, unless they are an output, and so
 * do real values that the file has already, which go with their DequantizeLinear.
 */
export function realName(codes: Value, { names, graph }: ImportContext): string {
  const plain = plainName(codes.name)
  const holder =
    codes.name === plain
      ? codes
      : codes
          .consumers()
          .filter(isDequantize)
          .map((n) => n.outputs[0])
          .find((v) => v?.name === plain)
  if (!holder || graph.isOutput(holder)) return names.value(plain)
  holder.name = names.value(`${plain}_${holder === codes ? 'quantized' : 'dequantized'}`)
  return plain
}

/** Adds a node of one output at a place, and returns that output. */
export function addOp(
  cx: ImportContext,
  at: { readonly before?: Node; readonly after?: Node },
  opType: string,
  inputs: readonly (Value | null)[],
  { attributes = {}, output }: { attributes?: Readonly<Record<string, Attribute>>; output?: Value | string } = {},
): Value {
  const name = cx.names.node(opType)
  const value = output instanceof Value ? output : new Value(cx.names.value(output ?? `${name}_output`))
  cx.graph.add(new Node({ opType, name, inputs, outputs: [value], attributes: Object.entries(attributes) }), at)
  return value
}
