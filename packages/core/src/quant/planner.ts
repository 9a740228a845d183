import { allGraphs, asTensor, type Graph, type Model, type Node } from '../ir/index.ts'
import { nodeMacs, type OpRegistry } from '../ops/index.ts'
import { Diagnostics, invariant } from '../util/index.ts'
import type { NodePlan, QuantPlan, Reason, TensorPlan } from './plan.ts'
import { type Candidate, eligibility, type PlanContext } from './planner-candidates.ts'
import { fuseAll } from './planner-fusion.ts'
import { tooSmall } from './planner-head.ts'
import type { PlannerOptions } from './planner-options.ts'
import { Selection } from './planner-select.ts'
import { Settings } from './planner-settings.ts'
import { dropTails } from './planner-tails.ts'
import { planTensors } from './planner-tensors.ts'
import { storageDType } from './spec.ts'
import type { Target } from './target.ts'

/**
 * Decides which tensors are quantized, how, and which share a scale. Pure and cheap: nothing is measured, the model is not
 * changed, and the same input gives the same plan.
 *
 * 1. Each node is asked whether the target has an integer kernel for it as it stands.
 * 2. Quantizers move behind activations that kernels absorb.
 * 3. Nodes that sum products are quantized; lighter ones only between integer neighbours.
 * 4. Values that are quantized get a spec, a sharing group and readers.
 * @param model with unique node and value names and inferred types; constants folded, BatchNorm folded.
 * @throws FewbitError PLAN_ALREADY_QUANTIZED, SCHEME_UNKNOWN
 */
export function planQuantization(
  model: Model,
  target: Target,
  ops: OpRegistry,
  options: PlannerOptions = {},
): QuantPlan {
  const { graph } = model
  const diagnostics = new Diagnostics()
  refuseQuantized(model, ops, diagnostics)
  const settings = new Settings(options, target, graph)
  const cx: PlanContext = {
    model,
    target,
    ops,
    settings,
    dispatch: options.dispatch ?? target.dispatch ?? 'neighbours',
  }
  const { candidates, refused } = markEdges(sortNodes(graph, cx), options.edgeBits ?? target.edgeBits, cx)
  const selection = new Selection(candidates, fuseAll(candidates, cx), cx)
  const tails = options.tails ?? (target.fallback === 'none' ? 'quantize' : 'float')
  if (tails === 'float') dropTails(selection, cx, diagnostics)
  if (options.smallLayers === 'float') selection.dropHead((c) => tooSmall(c, cx))
  const tensors = planTensors(selection, { ...cx, graph, options, diagnostics })
  const nodes = planNodes(selection, refused, tensors, cx)
  settings.reportUnused(diagnostics)
  if (target.fallback === 'none' && settings.scheme !== 'float') reportUnsupported(nodes, cx, diagnostics)
  if (tensors.length === 0 && settings.scheme !== 'float') reportNothing(nodes, diagnostics)
  const { scheme } = settings
  return {
    format: 'fewbit-plan',
    version: 1,
    target: target.name,
    scheme,
    nodes,
    tensors,
    diagnostics: diagnostics.list,
  }
}

function refuseQuantized(model: Model, ops: OpRegistry, diagnostics: Diagnostics): void {
  for (const graph of allGraphs(model)) {
    const node = [...graph.nodes].find((n) => ops.of(n)?.quant.traits?.includes('quantizer'))
    if (!node) continue
    diagnostics.error('PLAN_ALREADY_QUANTIZED', `the model is quantized already: it contains ${node.qualifiedType}`, {
      at: { node: node.name },
      fix: 'quantize the float model that this one was made from, or re-target this one with fewbit export',
    })
    break
  }
  diagnostics.throwIfErrors()
}

function reportNothing(nodes: readonly NodePlan[], diagnostics: Diagnostics): void {
  const reasons = new Set(nodes.map((n) => `${n.opType}: ${n.reason.text}`))
  diagnostics.warn('PLAN_NOTHING', 'no operator of the model can be quantized', { notes: [...reasons].slice(0, 10) })
}

/** One warning for each operator on floats that a backend without float kernels cannot run. */
function reportUnsupported(nodes: readonly NodePlan[], { model, target }: PlanContext, diagnostics: Diagnostics): void {
  const makesFloat = (node: Node) => node.outputs.some((v) => v && asTensor(v.type)?.dtype === 'float32')
  const floats = new Set([...model.graph.nodes].filter(makesFloat).map((node) => node.name))
  const missing = nodes.filter((n) => n.reason.code === 'NO_KERNEL' && floats.has(n.node))
  for (const type of new Set(missing.map((n) => n.opType))) {
    const names = missing.filter((n) => n.opType === type).map((n) => n.node)
    const text = `${target.title} runs integers only and has no kernel for ${type}: ${names.length} nodes stay in float`
    diagnostics.warn('PLAN_UNSUPPORTED', text, {
      at: { node: names[0] as string },
      notes: names.slice(0, 10),
      fix: `run what holds ${type} outside of the backend, write it with other operators, or choose another target`,
    })
  }
}

type Sorted = ReturnType<typeof sortNodes>

/** Gives the first and the last node that sum products the bits that edges have, whatever the scheme. */
function markEdges(sorted: Sorted, bits: number | undefined, cx: PlanContext): Sorted {
  const products = sorted.candidates.filter((c) => c.kind === 'accumulate' || c.kind === 'weights')
  const [first, last] = [products[0], products.at(-1)]
  if (bits === undefined || !first || !last) return sorted
  for (const { node } of [first, last]) cx.settings.setEdge(node, bits)
  return sortNodes(cx.model.graph, cx)
}

function sortNodes(graph: Graph, cx: PlanContext): { candidates: Candidate[]; refused: Map<Node, Reason> } {
  const candidates: Candidate[] = []
  const refused = new Map<Node, Reason>()
  const names = new Set<string>()
  for (const node of graph.nodes) {
    invariant(node.name !== '' && !names.has(node.name), () => `the node name "${node.name}" is not unique`)
    names.add(node.name)
    const answer = eligibility(node, cx)
    if ('candidate' in answer) candidates.push(answer.candidate)
    else refused.set(node, answer.reason)
  }
  return { candidates, refused }
}

function planNodes(
  selection: Selection,
  refused: ReadonlyMap<Node, Reason>,
  tensors: readonly TensorPlan[],
  cx: PlanContext,
): NodePlan[] {
  const codes = new Map<string, TensorPlan[]>()
  for (const t of tensors) for (const reader of t.readers) codes.set(reader, [...(codes.get(reader) ?? []), t])
  const nodes: NodePlan[] = []
  for (const graph of allGraphs(cx.model)) {
    for (const node of graph.nodes) {
      const verdict = graph === cx.model.graph ? decide(node, selection, refused, codes, cx) : float(NESTED_GRAPH)
      const macs = nodeMacs(node, cx.model, cx.ops)
      nodes.push({ node: node.name, opType: node.qualifiedType, ...verdict, ...(macs === undefined ? {} : { macs }) })
    }
  }
  return nodes
}

type Verdict = Pick<NodePlan, 'decision' | 'reason'>

const float = (reason: Reason): Verdict => ({ decision: 'float', reason })
const NESTED_GRAPH: Reason = {
  code: 'NESTED_GRAPH',
  text: 'it stands in a nested graph (If, Loop, Scan or a function), which stays in float as a whole',
}

function decide(
  node: Node,
  selection: Selection,
  refused: ReadonlyMap<Node, Reason>,
  tensors: ReadonlyMap<string, readonly TensorPlan[]>,
  cx: PlanContext,
): Verdict {
  const chosen = selection.chosen.get(node)
  if (chosen) return decideChosen(chosen, tensors.get(node.name) ?? [], cx)
  const absorbed = absorption(node, selection)
  if (absorbed) return { decision: 'fused', reason: absorbed }
  const reason = selection.dropped.get(node) ?? refused.get(node) ?? notAbsorbed(node, selection)
  invariant(reason, () => `no reason for "${node.name}"`)
  return float(reason)
}

/** How the host takes a node over, if it runs in integers itself and its result is quantized. */
function absorption(node: Node, selection: Selection): Reason | undefined {
  const host = selection.hosts.get(node)
  const fused = host && selection.chosen.has(host.node) && selection.fused.get(host.node)
  if (!fused) return undefined
  const name = `${host.node.opType} "${host.node.name}"`
  if (fused.pattern.clips !== 'codes') {
    return { code: 'FUSED', text: `${name} computes it in the same kernel (${fused.pattern.name})` }
  }
  if (!selection.isQuantized(fused.output)) return undefined
  return { code: 'FUSED', text: `the quantizer behind it clips as it does, so that ${name} absorbs it` }
}

function notAbsorbed(node: Node, selection: Selection): Reason | undefined {
  const host = selection.hosts.get(node)
  return (
    host && {
      code: 'HOST_FLOAT',
      text: `${host.node.opType} "${host.node.name}", which would absorb it, stays in float`,
    }
  )
}

function decideChosen(c: Candidate, inputs: readonly TensorPlan[], { target, dispatch }: PlanContext): Verdict {
  const { weights, activations, mixed } = target.kernels
  if (c.kind === 'weights') {
    const text = `weights only: ${target.title} computes with the dequantized weight`
    return { decision: 'quantized', reason: { code: 'WEIGHTS_ONLY', text } }
  }
  const operands = new Set(c.constants.map((i) => c.node.inputs[i]?.name))
  const isData = (t: TensorPlan) => t.role === 'activation' || operands.has(t.value)
  const data = inputs.filter(isData).map((t) => storageDType(t.spec))
  const weight = inputs.filter((t) => t.role === 'weight' && !isData(t)).map((t) => storageDType(t.spec))
  const alien =
    weight.find((dtype) => !weights.includes(dtype)) ??
    (c.kind === 'pass' ? undefined : data.find((dtype) => !activations.includes(dtype)))
  if (alien || (!mixed && new Set(data).size > 1)) {
    const text = `${target.title} has no ${c.node.opType} kernel for ${alien ?? [...new Set(data)].join(' with ')} and computes in float between quantizers`
    return { decision: 'quantized', reason: { code: 'NO_KERNEL_FOR_BITS', text } }
  }
  const isListed = c.kind === 'light' && dispatch !== 'neighbours'
  return { decision: 'integer', reason: isListed ? LISTED : CHOSEN[c.kind] }
}

const LISTED: Reason = {
  code: 'INTEGER_LISTED',
  text: 'the target has an integer kernel for it, and quantizes it here',
}

const CHOSEN: Record<'accumulate' | 'light' | 'pass', Reason> = {
  accumulate: { code: 'INTEGER_KERNEL', text: 'it sums products, and the target has an integer kernel for it' },
  light: { code: 'INTEGER_NEIGHBOURS', text: 'it stands between integer kernels and has one itself' },
  pass: { code: 'MOVES_CODES', text: 'it moves elements without changing them, so that it moves their codes' },
}
