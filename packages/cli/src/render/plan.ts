import { type QuantPlan, summarizePlan } from '@fewbit/core/quant'
import { formatDiagnostic, percent } from '@fewbit/core/util'
import { table } from './table.ts'

/** Share of multiply-accumulates in integers, in words. */
export function integerShareText(share: number | undefined): string {
  return share === undefined ? 'none known' : percent(share)
}

/** A plan in a few lines; the file has all of it. */
export function summarizePlanText(plan: QuantPlan, output: string): string {
  const { nodes, tensors, groups, integerShare } = summarizePlan(plan)
  const rows = [
    ['target', plan.target],
    ['scheme', plan.scheme],
    ['nodes', `${nodes.integer} integer, ${nodes.fused} fused, ${nodes.quantized} quantized, ${nodes.float} float`],
    ['MACs in integers', integerShareText(integerShare)],
    [
      'tensors',
      `${tensors.activation} activations on ${groups} scales, ${tensors.weight} weights, ${tensors.bias} biases`,
    ],
  ]
  return [table([], rows), ...plan.diagnostics.map(formatDiagnostic), `wrote ${output}`].join('\n')
}
