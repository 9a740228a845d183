import type { NodePlan, QuantPlan, TensorPlan } from './plan.ts'

export interface PlanSummary {
  readonly nodes: Readonly<Record<NodePlan['decision'], number>>
  readonly tensors: Readonly<Record<TensorPlan['role'], number>>
  /** Sharing groups of activations: the number of scales to find by measuring. */
  readonly groups: number
  readonly macs: number
  readonly integerMacs: number
  /** Share of multiply-accumulates in integers, 0 to 1; undefined where no node's count is known. */
  readonly integerShare: number | undefined
}

/** Counts of a plan. Nodes whose shapes are open count no multiply-accumulates. */
export function summarizePlan(plan: QuantPlan): PlanSummary {
  const nodes = { integer: 0, fused: 0, quantized: 0, float: 0 }
  const tensors = { activation: 0, weight: 0, bias: 0, fill: 0 }
  for (const { decision } of plan.nodes) nodes[decision]++
  for (const { role } of plan.tensors) tensors[role]++
  const macs = totalMacs(plan.nodes)
  const integerMacs = totalMacs(plan.nodes.filter((n) => n.decision === 'integer'))
  const groups = new Set(plan.tensors.filter((t) => t.role === 'activation').map((t) => t.group)).size
  return { nodes, tensors, groups, macs, integerMacs, integerShare: macs > 0 ? integerMacs / macs : undefined }
}

const totalMacs = (nodes: readonly NodePlan[]): number => nodes.reduce((sum, n) => sum + (n.macs ?? 0), 0)
