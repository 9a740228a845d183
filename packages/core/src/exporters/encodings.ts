import { asTensor, type Node, type Value } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import type { QuantParams, TensorPlan } from '../quant/index.ts'
import { decodeUtf8 } from '../util/index.ts'
import type { ExportContext } from './define.ts'

/** One tensor of the plan with its parameters. */
export interface Encoding {
  readonly tensor: TensorPlan
  readonly params: QuantParams
}

/** Tensors of these roles with their parameters, in plan order. Tensors without are left out: `complete` refuses them. */
export function planned(cx: ExportContext, ...roles: readonly TensorPlan['role'][]): Encoding[] {
  return cx.plan.tensors.flatMap((tensor) => {
    const params = cx.params.get(tensor.group)
    return params && roles.includes(tensor.role) ? [{ tensor, params }] : []
  })
}

/**
 * Parameters of activations by value name, in graph order: those of the plan, and of values that nodes move elements from or to.
 *
 * Moving elements commutes with quantizing them, so that what comes out of a Reshape or MaxPool has the encoding of what went in.
 * The other way round as well, where everybody who reads a value moves it to values of one and the same encoding.
 */
export function activationEncodings(cx: ExportContext): Map<string, QuantParams> {
  return spread(cx, new Map(planned(cx, 'activation').map(({ tensor, params }) => [tensor.value, params])))
}

/**
 * The same, for backends that look up every tensor of a network, with what stands before a Relu or Clip that its producer absorbs
 * as well: the codes behind it end where it clips, so that they clip what stands before it alike.
 */
export function tableEncodings(cx: ExportContext): Map<string, QuantParams> {
  const found = activationEncodings(cx)
  const bounded = new Set(cx.plan.tensors.filter((t) => t.within).map((t) => t.value))
  const fused = new Set(cx.plan.nodes.filter((n) => n.decision === 'fused').map((n) => n.node))
  for (const node of [...cx.model.graph.nodes].reverse()) {
    const [input] = node.inputs
    const output = node.outputs[0]?.name ?? ''
    const params = found.get(output)
    const clips = fused.has(node.name) && bounded.has(output)
    if (clips && input && params && !found.has(input.name)) found.set(input.name, params)
  }
  return spread(cx, found)
}

/** Parameters of constants by name, in plan order. */
export const constantEncodings = (
  cx: ExportContext,
  ...roles: readonly TensorPlan['role'][]
): [string, QuantParams][] => planned(cx, ...roles).map(({ tensor, params }) => [tensor.value, params])

function spread(cx: ExportContext, found: Map<string, QuantParams>): Map<string, QuantParams> {
  const { graph } = cx.model
  const movers = [...graph.nodes].filter((node) => movesElements(node, cx))
  for (const node of movers) spreadDown(node, found)
  for (const node of movers.reverse()) spreadUp(node, found, cx)
  const ordered = [...graph.inputs, ...[...graph.nodes].flatMap((node) => node.outputs)]
  return new Map(ordered.flatMap((value) => entryOf(value, found)))
}

function entryOf(value: Value | null, found: ReadonlyMap<string, QuantParams>): [string, QuantParams][] {
  const params = value && found.get(value.name)
  return params ? [[value.name, params]] : []
}

/** Every element of the results is one of input 0's. */
export const movesElements = (node: Node, { ops = defaultOps }: ExportContext): boolean =>
  ops.of(node)?.quant.traits?.includes('scale-preserving') === true

/** Results that hold elements of the input; indices of a MaxPool do not. */
function moved(node: Node): Value[] {
  const dtype = asTensor(node.inputs[0]?.type)?.dtype
  return node.outputs.filter(
    (value, i) => value !== null && (i === 0 || asTensor(value.type)?.dtype === dtype),
  ) as Value[]
}

function spreadDown(node: Node, found: Map<string, QuantParams>): void {
  const params = found.get(node.inputs[0]?.name ?? '')
  if (params) for (const value of moved(node)) if (!found.has(value.name)) found.set(value.name, params)
}

function spreadUp(node: Node, found: Map<string, QuantParams>, cx: ExportContext): void {
  const [source] = node.inputs
  if (!source || source.constant || found.has(source.name)) return
  if (source.uses().some((use) => use.index !== 0 || !movesElements(use.node, cx) || interpolates(use.node))) return
  const results = source.consumers().flatMap(moved)
  const [params, ...others] = new Set(results.map((value) => found.get(value.name)))
  if (params && others.length === 0) found.set(source.name, params)
}

/** A Resize between elements can stay below the largest of them, so that its result says too little about its input. */
function interpolates(node: Node): boolean {
  const mode = node.attributes.get('mode')
  return mode?.kind === 'string' && ['linear', 'cubic'].includes(decodeUtf8(mode.value))
}
