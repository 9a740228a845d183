import { type Node, type Value, valuesByName } from '@fewbit/core/ir'
import { type QuantParams, quantize, type TensorPlan } from '@fewbit/core/quant'
import type { Case } from '../backend.ts'

interface Codes {
  readonly dims: readonly number[]
  readonly codes: readonly number[]
  readonly scale: readonly number[]
}

/** An integer node of a plan and what is fused behind it, as a host without our files reads it. */
interface IntegerLayer {
  readonly op: string
  readonly attributes: Readonly<Record<string, number | readonly number[]>>
  readonly inputs: readonly string[]
  readonly output: string
  readonly relu: boolean
  readonly weight?: Codes
  readonly bias?: Codes
}

export interface IntegerPlan {
  readonly layers: readonly IntegerLayer[]
  /** Scale and zero point of every activation. */
  readonly grids: Readonly<Record<string, readonly [number, number]>>
}

/** The plan of a case as plain data: codes of constants, grids of activations. What runs in float is left out. */
export function integerPlan(cx: Case): IntegerPlan {
  const values = valuesByName(cx.float.graph)
  const decisions = new Map(cx.plan.nodes.map(({ node, decision }) => [node, decision]))
  const hosts = [...cx.float.graph.nodes].filter(({ name }) => decisions.get(name) === 'integer')
  const grids = cx.plan.tensors
    .filter(({ role }) => role === 'activation')
    .map((tensor) => {
      const { scale, zeroPoint } = paramsOf(cx, tensor)
      return [tensor.value, [scale[0] as number, zeroPoint[0] as number]] as const
    })
  const layers = hosts.map((node) => layerOf(cx, node, decisions, values))
  return { layers, grids: Object.fromEntries(grids) }
}

function layerOf(
  cx: Case,
  node: Node,
  decisions: ReadonlyMap<string, string>,
  values: ReadonlyMap<string, Value>,
): IntegerLayer {
  const constants = node.inputs.flatMap((input) => (input && values.get(input.name)?.constant ? [input] : []))
  const [weight, bias] = constants.map((value) => codesOf(cx, node, value))
  const last = endOf(node, decisions)
  return {
    op: node.opType,
    attributes: attributesOf(node),
    inputs: node.inputs.flatMap((input) => (input && !constants.includes(input) ? [input.name] : [])),
    output: last.outputs[0]?.name ?? '',
    relu: last !== node,
    ...(weight && { weight }),
    ...(bias && { bias }),
  }
}

function endOf(node: Node, decisions: ReadonlyMap<string, string>): Node {
  const next = node.outputs[0]?.uses()[0]?.node
  return next && decisions.get(next.name) === 'fused' ? endOf(next, decisions) : node
}

function codesOf(cx: Case, node: Node, value: Value): Codes | undefined {
  const tensor = cx.plan.tensors.find(
    (t) => t.value === value.name && t.role !== 'activation' && t.readers.includes(node.name),
  )
  const constant = value.constant
  if (!tensor || !constant) return undefined
  const params = paramsOf(cx, tensor)
  const codes = Array.from(quantize(constant.numbers(), params, constant.dims))
  return { dims: constant.dims, codes, scale: params.scale }
}

function paramsOf({ params }: Case, { group }: TensorPlan): QuantParams {
  const found = params.get(group)
  if (!found) throw new Error(`no parameters for ${group}`)
  return found
}

function attributesOf({ attributes }: Node): Record<string, number | readonly number[]> {
  const plain: Record<string, number | readonly number[]> = {}
  for (const [name, { kind, value }] of attributes) {
    if (kind === 'int' || kind === 'float') plain[name] = Number(value)
    if (kind === 'ints') plain[name] = value.map(Number)
  }
  return plain
}
