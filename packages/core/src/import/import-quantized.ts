import {
  allGraphs,
  cloneModel,
  type Model,
  type Node,
  nameNodes,
  removeUnusedInitializers,
  safeRemove,
  UniqueNames,
} from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { inferShapes, PASSES } from '../passes/index.ts'
import { isSimulated, type ParamsTable, type QuantPlan, type Target } from '../quant/index.ts'
import { type Diagnostic, Diagnostics, problem } from '../util/index.ts'
import type { ImportContext } from './context.ts'
import { collectEntries } from './entries.ts'
import { lowerDynamicMatMul, lowerIntegerProduct } from './lower-integer-products.ts'
import { lowerMove } from './lower-moves.ts'
import { isIntegerKernel, lowerKernel } from './lower-qlinear.ts'
import { nodePlans } from './node-plans.ts'
import { planOrigin } from './origin.ts'
import { tensorPlans } from './tensor-plans.ts'

/** A quantized model, taken apart. */
export interface ImportedModel {
  /** The float network: quantizers are gone, and constants hold the values of their codes. A copy. */
  readonly model: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  /** What the plan could not hold, and what became of it. */
  readonly diagnostics: readonly Diagnostic[]
}

export interface ImportOptions {
  /** The backend that the file is for, where it is known: which nodes run in integers is then read off its table. */
  readonly target?: Target
}

/** True if some node of the main graph is a quantizer or computes with codes. */
export const isQuantized = (model: Model, ops: OpRegistry): boolean =>
  [...model.graph.nodes].some((node) => isIntegerKernel(node) || isQuantizer(node, ops))

/** True if some node of the main graph computes with codes itself: the operator-oriented form of quantized models. */
export const hasIntegerKernels = (model: Model): boolean => [...model.graph.nodes].some(isIntegerKernel)

const isQuantizer = (node: Node, ops: OpRegistry): boolean => ops.of(node)?.quant.traits?.includes('quantizer') === true

/**
 * Reads a quantized model, whoever wrote it, as float network, plan and parameters: QDQ and QOperator, dynamic quantization as far as
 * fixed parameters can hold it. Materializing the result gives the same codes.
 *
 * 1. Integer kernels become float operators between quantizers, so that everything is in pairs.
 * 2. The pairs are taken out; what they said becomes the plan's tensors and their parameters.
 * 3. Nodes are judged by the quantizers that stood around them.
 * @param model with unique node and value names; it is not changed.
 * @throws FewbitError IMPORT_FLOAT if nothing in the main graph is quantized.
 */
export function importQuantized(model: Model, ops: OpRegistry, options: ImportOptions = {}): ImportedModel {
  if (!isQuantized(model, ops)) {
    throw problem('IMPORT_FLOAT', 'the model is not quantized: it has no quantizers to import', {
      fix: 'quantize it first with fewbit quantize',
    })
  }
  const cx = prepare(model, ops)
  if (isSimulated(model)) {
    const fix = 'take what was made before it: the network with fake-quantizers, or the float one'
    cx.diagnostics.warn('IMPORT_SIMULATED', 'ordinary nodes stand for numbers of which the file has no codes', { fix })
  }
  for (const node of [...cx.graph.nodes]) lower(node, cx)
  const entries = collectEntries(cx)
  sweep(cx)
  inferShapes(cx.model, { ops })
  const { tensors, params } = tensorPlans(entries, cx)
  const origin = planOrigin(model, tensors, options.target)
  const nodes = nodePlans(tensors, params, cx, { target: options.target, scheme: origin.scheme })
  cx.model.metadata.delete('fewbit.recipe')
  const diagnostics = cx.diagnostics.list
  return {
    model: cx.model,
    plan: { format: 'fewbit-plan', version: 1, ...origin, nodes, tensors, diagnostics },
    params,
    diagnostics,
  }
}

/** A copy in which every constant is an initializer and every value has a type. */
function prepare(model: Model, ops: OpRegistry): ImportContext {
  const copy = cloneModel(model)
  nameNodes(copy.graph)
  const quiet = { ops, diagnostics: new Diagnostics(), trace: () => {} }
  PASSES['freeze-inputs'].run(copy, quiet)
  PASSES['constant-to-initializer'].run(copy, quiet)
  inferShapes(copy, { ops })
  const { graph } = copy
  return {
    model: copy,
    graph,
    ops,
    diagnostics: new Diagnostics(),
    names: new UniqueNames(graph),
    ids: new Map(),
    dynamic: new Set(),
  }
}

function lower(node: Node, cx: ImportContext): void {
  if (node.graph !== cx.graph) return
  lowerKernel(node, cx)
  lowerDynamicMatMul(node, cx)
  lowerIntegerProduct(node, cx)
  if (node.graph === cx.graph) lowerMove(node, cx)
}

/** Removes what only quantizers needed: their parameters, and how dynamic scales were computed. */
function sweep({ model, graph, ops }: ImportContext): void {
  const isScaling = (node: Node) => isQuantizer(node, ops) || (node.opType === 'Mul' && node.outputs[0]?.useCount === 0)
  for (const node of [...graph.nodes].reverse()) if (isScaling(node)) safeRemove(node)
  removeUnusedInitializers(model)
  const used = new Set([...allGraphs(model)].flatMap((g) => [...g.nodes].map((node) => node.domain)))
  for (const domain of QUANTIZER_DOMAINS) if (!used.has(domain)) model.opsets.delete(domain)
}

/** Domains that a file may import for its quantizers alone. */
const QUANTIZER_DOMAINS = ['com.microsoft', 'org.openvinotoolkit']
