import { asTensor, type Model, type Node } from '../../ir/index.ts'
import type { TraceEvent } from '../../passes/index.ts'
import type { NodePlan, QuantPlan, Target } from '../../quant/index.ts'
import type { Level } from '../../util/index.ts'
import { type Finding, nodePlace } from './finding.ts'

interface Remedy {
  readonly level: Level
  readonly fix?: string
}

/** By the planner's reason. What the user asked for, and arithmetic on shapes, is no finding. */
const REMEDIES: Readonly<Record<string, Remedy>> = {
  NO_KERNEL: {
    level: 'warning',
    fix: 'write it with operators that the backend has, or accept two conversions around it',
  },
  NO_KERNEL_FOR_BITS: { level: 'warning', fix: 'choose a scheme whose types the kernels take' },
  UNKNOWN_OP: { level: 'warning', fix: 'define the operator in a plugin (docs/extensions.md)' },
  ATTRIBUTE: { level: 'warning', fix: 'export it with a value that the kernel takes' },
  DTYPE: { level: 'warning', fix: 'convert the network to float32' },
  TYPE_UNKNOWN: { level: 'warning', fix: 'export the model with the shapes and types of its values' },
  WEIGHT_DYNAMIC: { level: 'warning', fix: 'export the weight as a constant' },
  BIAS_DYNAMIC: { level: 'warning', fix: 'export the bias as a constant' },
  BIAS_SHAPE: { level: 'warning', fix: 'give one bias for each output channel' },
  NESTED_GRAPH: { level: 'warning', fix: 'export for one branch, or with the loop unrolled' },
  HOST_FLOAT: { level: 'info' },
  NO_INTEGER_READER: { level: 'info' },
  NO_INTEGER_SOURCE: { level: 'info' },
  NO_SCALE: { level: 'info' },
  NOT_ON_INPUT_SCALE: { level: 'info' },
  REAL_OPERAND: { level: 'info' },
  NOT_BEHIND_PRODUCT: { level: 'info', fix: 'quantize more with --dispatch listed' },
  NOT_BETWEEN_PRODUCTS: { level: 'info', fix: 'quantize more with --dispatch listed' },
  SMALL_HEAD: { level: 'info', fix: 'quantize it all the same with --small-layers integer' },
  TAIL_PROBABILITIES: { level: 'info', fix: 'quantize it all the same with --tails quantize' },
  TAIL_DETECTION: { level: 'info', fix: 'quantize it all the same with --tails quantize' },
}

const OUTSIDE =
  'run it outside of the backend, which runs integers only, write it with other operators, or choose another target'

/** Nodes that the backend computes in float, by reason. Arithmetic on shapes is nobody's loss. */
export function floatNodes({ nodes }: QuantPlan, { graph }: Model, { fallback }: Target): Finding[] {
  const shapes = new Set([...graph.nodes].filter((node) => !makesFloat(node)).map((node) => node.name))
  return nodes.flatMap((node) => {
    const { code, text } = node.reason
    const remedy = node.decision === 'integer' || node.decision === 'fused' ? undefined : REMEDIES[code]
    if (!remedy || shapes.has(node.node)) return []
    const fix = code === 'NO_KERNEL' && fallback === 'none' ? { fix: OUTSIDE } : {}
    return [{ ...remedy, ...fix, code, message: text, places: [placeOf(node)] }]
  })
}

const makesFloat = (node: Node): boolean =>
  node.outputs.some((value) => value !== null && asTensor(value.type)?.dtype === 'float32')

function placeOf({ node, opType, macs, reason }: NodePlan) {
  const type = reason.text.includes(opType) ? [] : [opType]
  const cost = macs ? [`${macs.toLocaleString('en-US')} MACs`] : []
  return nodePlace(node, [...type, ...cost].join(', ') || undefined)
}

/** Rewrites that would have made an operator disappear, and did not: a BatchNormalization that nobody could take over. */
export function declinedRewrites(trace: readonly TraceEvent[], plan: QuantPlan): Finding[] {
  const float = new Set(plan.nodes.filter((n) => n.reason.code === 'NO_KERNEL').map((n) => n.node))
  const last = new Map(trace.map((event) => [event.node, event]))
  return [...last.values()]
    .filter((event) => event.kind === 'declined' && float.has(event.node))
    .map(({ pass, node, text }) => ({
      code: 'LINT_NOT_REWRITTEN',
      level: 'warning' as const,
      message: `${pass} would remove it, but ${text}`,
      places: [nodePlace(node)],
      fix: 'export the network so that the condition holds',
    }))
}

/** Opsets are raised on the way, which the backend's own tools may not do. */
export function raisedOpset(model: Model, float: Model, target: Target): Finding[] {
  const [from, to] = [model.opset(), float.opset()]
  if (from >= to) return []
  const message = `the model is of opset ${from}, and the plan for ${target.title} needs ${to}: fewbit raises it`
  return [{ code: 'LINT_OPSET', level: 'info', message, places: [] }]
}
