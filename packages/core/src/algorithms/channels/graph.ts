import { type Model, type Node, Tensor, tensorType, type Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { freshName, hasOpenAttributes, type RuleContext } from '../../passes/index.ts'
import { must } from '../../util/index.ts'
import type { ChannelMoments } from '../norm-statistics.ts'
import type { ChannelClasses } from './classes.ts'
import { idsAlong, type Labels } from './labels.ts'
import { CHANNEL_RULES, type ChannelRule, channelwise, homogeneous } from './rules.ts'
import { type ScaledConstant, Tracer } from './tracer.ts'

/**
 * The channels of a network that may be scaled without changing what it computes. Channels fall into classes that must be scaled alike,
 * because values are added or share a constant; a class is free where everybody who makes or reads its values can make up for the scale.
 */
export interface ChannelGraph {
  readonly cx: RuleContext
  readonly classes: ChannelClasses
  /** Classes of the values that have any. */
  readonly labels: ReadonlyMap<Value, Labels>
  readonly constants: readonly ScaledConstant[]
}

/** Walks the main graph in order. Graph outputs, and what unknown operators or nested graphs read, keep their scale. */
export function channelGraph(
  model: Model,
  ops: OpRegistry,
  rules: Readonly<Record<string, ChannelRule>> = CHANNEL_RULES,
): ChannelGraph {
  const t = new Tracer(model, ops)
  for (const node of model.graph.nodes) {
    const passes = !hasOpenAttributes(node) && ruleFor(node, t, rules)?.(node, t) === true
    if (!passes) for (const input of node.inputs) t.fix(input)
  }
  for (const value of t.labels.keys()) {
    const captured = value.consumers().some((reader) => reader.graph !== model.graph)
    if (captured || t.cx.isOutput(value)) t.fix(value)
  }
  return t
}

function ruleFor(node: Node, t: Tracer, rules: Readonly<Record<string, ChannelRule>>): ChannelRule | undefined {
  if (Object.hasOwn(rules, node.qualifiedType)) return rules[node.qualifiedType]
  if (t.cx.hasTrait(node, 'impure')) return undefined
  if (t.cx.hasTrait(node, 'channelwise')) return channelwise
  const isUnary = node.inputs.length === 1 && t.cx.hasTrait(node, 'elementwise')
  return isUnary && t.cx.hasTrait(node, 'positively-homogeneous') ? homogeneous : undefined
}

/**
 * Multiplies each class of channels by a factor: values become `factor` times what they were, and weights, biases and slopes change so
 * that everything behind them stays the same, up to rounding.
 * @param factor by class number; 1 for class 0.
 * @returns the nodes whose constants changed.
 */
export function scaleChannels({ constants, cx }: ChannelGraph, factor: (id: number) => number): Node[] {
  const changed = new Set<Node>()
  for (const constant of constants) {
    const { node, input, tensor, up, down } = constant
    let differs = false
    const values = Float64Array.from(tensor.numbers(), (v, i) => {
      const ratio = factor(up(i)) / factor(down(i))
      differs ||= ratio !== 1
      return v * ratio
    })
    if (!differs) continue
    setConstant(node, input, Tensor.fromNumbers(tensor.dtype, tensor.dims, values), cx)
    changed.add(node)
  }
  return [...changed]
}

/** Gives one reader other elements; what others read of the same constant stays. */
export function setConstant(node: Node, input: number, tensor: Tensor, cx: RuleContext): void {
  const graph = must(node.graph, 'graph of the node')
  const value = must(node.inputs[input], 'constant')
  if (cx.hasOneUse(value) && graph.initializers.has(value)) {
    value.constant = tensor
    value.type = tensorType(tensor.dtype, tensor.dims)
  } else {
    node.setInput(input, graph.addInitializer(freshName(graph, value.name), tensor))
  }
}

/** Scales what normalization remembers of values, in step with their channels. */
export function scaleNorms(
  norms: Map<string, ChannelMoments>,
  { labels }: ChannelGraph,
  factor: (id: number) => number,
): void {
  for (const [value, known] of labels) {
    const moments = norms.get(value.name)
    const ids = moments && idsAlong(known, 1, moments.mean.length)
    if (!ids) continue
    const scaled = (x: number, c: number) => x * factor(ids[c] as number)
    norms.set(value.name, { mean: moments.mean.map(scaled), std: moments.std.map((s, c) => Math.abs(scaled(s, c))) })
  }
}

/** The values whose classes change along one axis only, with that axis: those whose channels can be measured. */
export function labelledAxes({ labels, classes }: ChannelGraph): Map<Value, number> {
  const found = new Map<Value, number>()
  for (const [value, { dims, ids }] of labels) {
    const axes = dims.flatMap((d, i) => (d > 1 ? [i] : []))
    if (axes.length === 1 && ids.some((id) => classes.find(id) !== 0)) found.set(value, axes[0] as number)
  }
  return found
}
