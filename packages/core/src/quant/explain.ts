import { nearestNames, problem } from '../util/index.ts'
import type { NodePlan, ParamsTable, QuantPlan, TensorPlan } from './plan.ts'
import { sourceText, specText } from './plan-text.ts'
import type { QuantParams } from './spec.ts'

/** One quantized tensor around a node. */
export interface TensorExplanation {
  readonly plan: TensorPlan
  /** Other tensors on the same scale. */
  readonly sharedWith: readonly string[]
  readonly params?: QuantParams
}

/** Why a node is, or is not, quantized, and with what. JSON. */
export interface NodeExplanation {
  readonly node: NodePlan
  /** Quantized tensors that it reads. */
  readonly inputs: readonly TensorExplanation[]
  /** Quantized tensors that it makes. */
  readonly outputs: readonly TensorExplanation[]
}

export interface ExplainOptions {
  /** Value names that the node makes: a plan names readers only. */
  readonly outputs?: readonly string[]
  readonly params?: ParamsTable
}

/**
 * Collects what a plan says of one node.
 * @throws FewbitError NODE_UNKNOWN with the nearest names.
 */
export function explainNode(plan: QuantPlan, name: string, options: ExplainOptions = {}): NodeExplanation {
  const node = plan.nodes.find((n) => n.node === name)
  if (!node) throw unknownNode(plan, name)
  const outputs = new Set(options.outputs)
  const explain = (t: TensorPlan): TensorExplanation => {
    const params = options.params?.get(t.group)
    const others = plan.tensors.filter((o) => o.group === t.group && o !== t).map((o) => o.value)
    return { plan: t, sharedWith: others, ...(params ? { params } : {}) }
  }
  return {
    node,
    inputs: plan.tensors.filter((t) => t.readers.includes(name)).map(explain),
    outputs: plan.tensors.filter((t) => outputs.has(t.value)).map(explain),
  }
}

/** The explanation as sentences. */
export function explanationText({ node, inputs, outputs }: NodeExplanation): string {
  const macs = node.macs === undefined ? '' : `, ${node.macs.toLocaleString('en-US')} multiply-accumulates`
  const lines = [
    `${node.node} (${node.opType}${macs})`,
    `  ${DECISIONS[node.decision]}: ${node.reason.text} [${node.reason.code}]`,
    ...inputs.flatMap((t) => tensorLines('reads', t)),
    ...outputs.flatMap((t) => tensorLines('makes', t)),
  ]
  return `${lines.join('\n')}\n`
}

const DECISIONS: Record<NodePlan['decision'], string> = {
  integer: 'runs in integers',
  fused: 'absorbed',
  quantized: 'quantized, computed in float',
  float: 'stays in float',
}

function tensorLines(verb: string, { plan, sharedWith, params }: TensorExplanation): string[] {
  const others =
    sharedWith.slice(0, 5).join(', ') + (sharedWith.length > 5 ? `, and ${sharedWith.length - 5} more` : '')
  return [
    `  ${verb} ${plan.role} "${plan.value}": ${specText(plan.spec)}, ${sourceText(plan.source)}`,
    `    ${plan.reason.text} [${plan.reason.code}]`,
    ...(sharedWith.length > 0 ? [`    one scale with ${others}`] : []),
    ...(params ? [`    ${paramsText(params)}`] : []),
  ]
}

function paramsText({ scale, zeroPoint }: QuantParams): string {
  const show = (x: number) => x.toPrecision(6)
  if (scale.length === 1) return `scale ${show(scale[0] as number)}, zero point ${zeroPoint[0]}`
  const [lo, hi] = scale.reduce(([a, b], s) => [Math.min(a, s), Math.max(b, s)], [Infinity, 0])
  return `${scale.length} scales from ${show(lo)} to ${show(hi)}`
}

function unknownNode(plan: QuantPlan, name: string) {
  const names = plan.nodes.map(({ node }) => node)
  const near = nearestNames(name, names, { most: 3, within: Number.POSITIVE_INFINITY }).map((node) => `"${node}"`)
  return problem('NODE_UNKNOWN', `the model has no node "${name}"`, {
    at: { node: name },
    ...(near.length > 0 ? { fix: `did you mean ${near.join(' or ')}?` } : {}),
  })
}
