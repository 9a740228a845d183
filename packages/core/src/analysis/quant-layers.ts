import type { Model, Node } from '../ir/index.ts'
import type { OpRegistry, Trait } from '../ops/index.ts'
import type { NodePlan, QuantPlan, TensorPlan } from '../quant/index.ts'

/** A node that computes with quantized tensors, and what its kernel absorbs. */
export interface QuantLayer {
  readonly node: string
  readonly opType: string
  readonly decision: NodePlan['decision']
  /** Names of the node and of those that it absorbs. */
  readonly nodes: ReadonlySet<string>
  /** Names of the values that they make. */
  readonly makes: ReadonlySet<string>
  readonly macs?: number
}

/** Which of the tensors around a layer are quantized. Biases go with weights, constants that fill with activations. */
export type QuantParts = 'all' | 'weights' | 'activations'

/** What only moves or joins codes errs with those who make or read them. */
const MOVES: readonly Trait[] = ['scale-preserving', 'same-scale-inputs', 'identity', 'shape-source']

/** The layers of a plan that have an error of their own, in graph order. */
export function quantLayers(model: Model, plan: QuantPlan, ops: OpRegistry): QuantLayer[] {
  const plans = new Map(plan.nodes.map((node) => [node.node, node]))
  const around = new Set(plan.tensors.flatMap(({ readers }) => readers))
  const quantized = new Set(plan.tensors.map(({ value }) => value))
  const hosts = new Map<Node, Node>()
  const members = new Map<Node, Node[]>()
  for (const node of model.graph.nodes) {
    const decision = plans.get(node.name)?.decision
    const host = decision === 'fused' ? hostOf(node, hosts) : node
    if (!host || !decision || decision === 'float') continue
    hosts.set(node, host)
    members.set(host, [...(members.get(host) ?? []), node])
  }
  return [...members].flatMap(([host, nodes]) => {
    const known = plans.get(host.name)
    const isMover = ops.of(host)?.quant.traits?.some((trait) => MOVES.includes(trait)) ?? false
    const makes = nodes.flatMap((node) => node.outputs.flatMap((value) => value?.name ?? []))
    const isTouched = nodes.some(({ name }) => around.has(name)) || makes.some((name) => quantized.has(name))
    if (!known || isMover || !isTouched) return []
    const { opType, decision, macs } = known
    const names = new Set(nodes.map(({ name }) => name))
    return [{ node: host.name, opType, decision, nodes: names, makes: new Set(makes), ...(macs ? { macs } : {}) }]
  })
}

/** The kernel that absorbs a node: that of the first input which has one. */
const hostOf = (node: Node, hosts: ReadonlyMap<Node, Node>): Node | undefined =>
  node.inputs.map((value) => value?.producer && hosts.get(value.producer)).find((host) => host) ?? undefined

/**
 * The plan cut down to some of its tensors: weights or activations only, of one layer or of all. Of one layer they are what its nodes
 * read, for these readers alone, and what they make, for all readers.
 */
export function partOfPlan(plan: QuantPlan, parts: QuantParts, layer?: QuantLayer): QuantPlan {
  const isConstant = ({ role }: TensorPlan) => role === 'weight' || role === 'bias'
  const wanted = plan.tensors.filter((tensor) => parts === 'all' || isConstant(tensor) === (parts === 'weights'))
  return { ...plan, tensors: layer ? wanted.flatMap((tensor) => around(tensor, layer)) : wanted }
}

function around(tensor: TensorPlan, layer: QuantLayer): TensorPlan[] {
  if (layer.makes.has(tensor.value)) return [tensor]
  const readers = tensor.readers.filter((name) => layer.nodes.has(name))
  const { graphOutput: _, ...rest } = tensor
  return readers.length > 0 ? [{ ...rest, readers }] : []
}
