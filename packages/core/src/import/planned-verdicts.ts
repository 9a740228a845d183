import type { Node } from '../ir/index.ts'
import {
  type NodePlan,
  outputBounds,
  type ParamsTable,
  planQuantization,
  type QuantPlan,
  storageDType,
  type Target,
  type TensorPlan,
} from '../quant/index.ts'
import { FewbitError } from '../util/index.ts'
import { endsWithin } from './code-ends.ts'
import type { ImportContext } from './context.ts'

/**
 * What the backend's own planner decides for nodes that have the same quantizers around them in the file as in its plan. It knows what
 * quantizers alone do not tell: which groups of operators one kernel runs, and which ends of a node carry quantizers.
 */
export function plannedVerdicts(
  tensors: readonly TensorPlan[],
  params: ParamsTable,
  scheme: string,
  cx: ImportContext,
  target: Target,
): ReadonlyMap<string, NodePlan> {
  const plan = tryPlan(scheme, cx, target)
  if (!plan) return new Map()
  const [inFile, inPlan] = [surroundings(tensors, cx), surroundings(plan.tensors, cx)]
  const planned = new Map(plan.nodes.map((n) => [n.node, n]))
  const isFused = (node: Node) => planned.get(node.name)?.decision === 'fused'
  const groups = new Map(tensors.map((t) => [t.value, t.group]))
  const clipsAlike = (node: Node): boolean => {
    const found = params.get(groups.get(node.outputs[0]?.name ?? '') ?? '')
    return !found || !clipsCodes(node, target) || endsWithin(boundsOf(node, cx), found)
  }
  const alike = (node: Node): boolean =>
    inFile(node) === inPlan(node) && absorbed(node).every((n) => alike(n) && clipsAlike(n))
  /** Nodes that run inside the kernel of this one have to stand as planned too. */
  const absorbed = (node: Node): Node[] => node.outputs.flatMap((value) => value?.consumers() ?? []).filter(isFused)
  const nodes = [...cx.graph.nodes].filter(
    (node) => planned.has(node.name) && alike(node) && (!isFused(node) || clipsAlike(node)),
  )
  return new Map(nodes.map((node) => [node.name, planned.get(node.name) as NodePlan]))
}

/** True if the backend takes an activation over only where the codes behind it end as it clips. */
const clipsCodes = ({ qualifiedType }: Node, { fuse }: Target): boolean =>
  fuse.some(({ clips, chain }) => clips === 'codes' && chain.includes(qualifiedType))

const boundsOf = (node: Node, { ops }: ImportContext) => {
  const def = ops.of(node)
  return (def && outputBounds(node, def)) ?? {}
}

/** A scheme that the target does not know, or quantizers that are left, say nothing about the file: there is no plan to compare with. */
function tryPlan(scheme: string, { model, ops }: ImportContext, target: Target): QuantPlan | undefined {
  try {
    return planQuantization(model, target, ops, { scheme })
  } catch (error) {
    if (error instanceof FewbitError) return undefined
    throw error
  }
}

/** The quantized tensors that a node reads and makes, with their types, as text. */
function surroundings(tensors: readonly TensorPlan[], { graph }: ImportContext): (node: Node) => string {
  const at = new Map<string, string[]>()
  const add = (node: string, text: string) => at.set(node, [...(at.get(node) ?? []), text])
  const makers = new Map([...graph.nodes].flatMap((n) => n.outputs.map((value) => [value?.name ?? '', n.name])))
  for (const { value, readers, spec } of tensors) {
    const type = storageDType(spec)
    for (const reader of readers) add(reader, `${value} ${type}`)
    const maker = makers.get(value)
    if (maker) add(maker, `makes ${value} ${type}`)
  }
  return (node) => [...new Set(at.get(node.name))].sort().join('\n')
}
