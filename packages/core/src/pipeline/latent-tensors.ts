import type { Model, Value } from '../ir/index.ts'
import type { QuantPlan, Target, TensorPlan } from '../quant/index.ts'

/**
 * Tensors that a later plan may quantize although this one does not. An absorbed operator with a kernel of its own stands for itself as
 * soon as its host is kept in float; what lies inside such groups has to be measured for the search to try that.
 */
export function latentTensors(float: Model, plan: QuantPlan, target: Target): TensorPlan[] {
  const template = plan.tensors.find((t) => t.role === 'activation' && t.source.kind === 'calibrate')
  if (!template) return []
  const planned = new Set(plan.tensors.map((t) => t.value))
  const ownKernel = new Set(
    plan.nodes.filter((n) => n.decision === 'fused' && hasKernel(target, n.opType)).map((n) => n.node),
  )
  const isLatent = (value: Value | null): value is Value =>
    value !== null && value.constant === null && !planned.has(value.name)
  const values = [...float.graph.nodes]
    .filter((node) => ownKernel.has(node.name))
    .flatMap((node) => [...node.inputs, ...node.outputs])
    .filter(isLatent)
  return [...new Set(values)].map((value) => ({ ...template, value: value.name, group: value.name }))
}

const hasKernel = ({ ops }: Target, opType: string): boolean => {
  const mode = ops[opType]?.mode
  return mode === 'integer' || mode === 'pass'
}
