import type { Case, Values } from './backend.ts'
import { type Agreement, compareValues, mergeAgreements } from './compare.ts'

export interface LayerAgreement extends Agreement {
  readonly value: string
}

/** Every quantized intermediate that both sides show, in the order of the plan, in steps of its own scale. */
export function compareLayers(cx: Case, simulated: Values, got: Values): { each: LayerAgreement[]; all?: Agreement } {
  const each = cx.plan.tensors.flatMap(({ value, group, role }) => {
    const [expected, values, scale] = [simulated.get(value), got.get(value), cx.params.get(group)?.scale[0]]
    if (role !== 'activation' || !expected || !values || scale === undefined) return []
    return [{ value, ...compareValues(expected, values, scale) }]
  })
  return each.length > 0 ? { each, all: mergeAgreements(each) } : { each }
}

/** Layers that are not all the same code. */
export function layerTable(title: string, each: readonly LayerAgreement[]): string {
  const lines = each
    .filter(({ same }) => same < 1)
    .map((a) => {
      const figures = [a.same, a.within].map((s) => (100 * s).toFixed(3).padStart(8)).join('')
      return `  ${figures} ${a.worst.toFixed(2).padStart(7)}  ${a.value}`
    })
  return [`${title}: same %, within 1 %, worst; ${each.length} quantized values`, ...lines].join('\n')
}
