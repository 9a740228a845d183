import { type Model, type Node, type Value, valuesByName } from '../../ir/index.ts'
import { inputRole, type OpRegistry } from '../../ops/index.ts'
import { Groups, groupsOf, type QuantPlan, storageDType, type Target } from '../../quant/index.ts'
import { dtypeInfo, must } from '../../util/index.ts'
import { FLOAT_BITS } from './choices.ts'

/** What a node costs under one scheme. */
export interface Precision {
  /** Of weights; of the second operand where both are computed. */
  readonly weightBits: number
  readonly activationBits: number
  /** Bits that a weight takes in the file. */
  readonly storedBits: number
}

/** A node that sums products. */
export interface ProductLayer {
  readonly node: string
  readonly opType: string
  readonly macs: number
  /** Of the constants that it reads as weights, unless an earlier layer reads them too. */
  readonly elements: number
  /** By choice. */
  readonly precision: readonly Precision[]
}

/** Layers that get the same scheme, because they share a scale or a weight. */
export interface LayerGroup {
  readonly layers: readonly ProductLayer[]
  /** Nodes without products on the same scale, which have to go with them. */
  readonly followers: readonly string[]
}

export interface Allocatable {
  readonly groups: readonly LayerGroup[]
  /** Layers with the same precision whatever is chosen: in float, at the edge, or named by an exception. */
  readonly fixed: readonly ProductLayer[]
}

interface Facts {
  readonly model: Model
  readonly ops: OpRegistry
  readonly target: Target
  readonly macs: ReadonlyMap<string, number>
  /** The whole network in each choice. */
  readonly plans: readonly QuantPlan[]
}

/** Sorts the layers of a network into those whose precision can be chosen, in groups, and the others. */
export function allocatable(facts: Facts): Allocatable {
  const layers = productLayers(facts)
  const free = layers.filter(({ precision }) => new Set(precision.map((p) => JSON.stringify(p))).size > 1)
  const fixed = layers.filter((layer) => !free.includes(layer))
  const names = new Set(layers.map(({ node }) => node))
  const shared = sharing(free, facts)
  const byRoot = new Map<string, ProductLayer[]>()
  for (const layer of free) {
    const root = shared.find(layer.node)
    byRoot.set(root, [...(byRoot.get(root) ?? []), layer])
  }
  const others = (facts.plans[0]?.nodes ?? []).map(({ node }) => node).filter((node) => !names.has(node))
  const groups = [...byRoot].map(([root, members]): LayerGroup => {
    return { layers: members, followers: others.filter((node) => shared.find(node) === root) }
  })
  return { groups, fixed }
}

function productLayers({ model, ops, target, macs, plans }: Facts): ProductLayer[] {
  const seen = new Set<Value>()
  return [...model.graph.nodes].flatMap((node): ProductLayer[] => {
    const count = macs.get(node.name) ?? 0
    if (count === 0) return []
    const weights = constantWeights(node, ops).filter((value) => !seen.has(value))
    for (const value of weights) seen.add(value)
    const elements = weights.reduce((n, { constant }) => n + (constant?.size ?? 0), 0)
    const precision = plans.map((plan) => precisionIn(plan, node.name, target))
    return [{ node: node.name, opType: node.opType, macs: count, elements, precision }]
  })
}

function constantWeights(node: Node, ops: OpRegistry): Value[] {
  const def = ops.of(node)
  if (!def) return []
  return node.inputs.flatMap((value, i) => (value?.constant && inputRole(def, i) === 'weight' ? [value] : []))
}

function precisionIn(plan: QuantPlan, node: string, target: Target): Precision {
  const read = plan.tensors.filter(({ readers }) => readers.includes(node))
  const bits = (role: string) => read.filter((t) => t.role === role).map(({ spec }) => spec.bits)
  const weight = read.find(({ role }) => role === 'weight')
  const activationBits = Math.max(0, ...bits('activation')) || FLOAT_BITS
  const weightBits = weight?.spec.bits ?? (bits('activation').length > 1 ? Math.min(...bits('activation')) : FLOAT_BITS)
  // ONNX has integers of 2, 4, 8 and 16 bits; other backends pack as they please.
  const packed = weight && target.engine ? dtypeInfo(storageDType(weight.spec)).bits : weight?.spec.bits
  return { weightBits, activationBits, storedBits: packed ?? FLOAT_BITS }
}

/** Which nodes must agree: readers of one weight, and where activations differ in bits, those around tensors on one scale. */
function sharing(layers: readonly ProductLayer[], { model, ops, target, plans }: Facts): Groups<string> {
  const nodes = new Groups<string>()
  const free = new Set(layers.map(({ node }) => node))
  const firstReader = new Map<Value, string>()
  for (const node of model.graph.nodes) {
    if (!free.has(node.name)) continue
    for (const value of constantWeights(node, ops)) {
      const first = firstReader.get(value) ?? node.name
      firstReader.set(value, first)
      nodes.union(first, node.name)
    }
  }
  const activationBits = (plan: QuantPlan) => plan.tensors.find((t) => t.role === 'activation')?.spec.bits
  if (new Set(plans.flatMap((plan) => activationBits(plan) ?? [])).size < 2) return nodes
  const values = valuesByName(model.graph)
  for (const plan of plans) {
    const deciders = decidersOf(plan, target)
    for (const tensors of groupsOf(plan).values()) {
      const names = tensors.flatMap((t) =>
        t.role === 'activation' ? deciders(must(values.get(t.value), t.value)) : [],
      )
      // The one that can be chosen stands for all.
      const lead = names.find((name) => free.has(name))
      if (lead !== undefined) for (const name of names) nodes.union(lead, name)
    }
  }
  return nodes
}

/** The nodes whose schemes say how many bits a value has: who makes it, seen through what its kernel absorbs, or else all who read it. */
function decidersOf(plan: QuantPlan, target: Target) {
  const decisions = new Map(plan.nodes.map(({ node, decision }) => [node, decision]))
  const readers = new Map(plan.tensors.map((t) => [t.value, t.readers]))
  return (value: Value): readonly string[] => {
    let maker = value.producer
    while (maker && decisions.get(maker.name) === 'fused') maker = maker.inputs[0]?.producer ?? null
    const isMade = maker && decisions.get(maker.name) !== 'float'
    if (maker && isMade && target.points !== 'inputs') return [maker.name]
    return readers.get(value.name) ?? []
  }
}
