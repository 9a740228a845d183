import { type Node, type Value, valuesByName } from '../ir/index.ts'
import { defaultOps, inputRole, type OpRegistry } from '../ops/index.ts'
import { groupsOf, paramCount, type QuantParams, type TensorPlan } from '../quant/index.ts'
import { type Diagnostic, Diagnostics, must } from '../util/index.ts'
import type { ExportContext } from './define.ts'
import { activationEncodings } from './encodings.ts'

/** Whether a format can say what the plan wants of a tensor: true, or what stands in the way, as the end of a sentence. */
export type Holds = (tensor: TensorPlan, params: QuantParams) => true | string

export interface Demands {
  /** Absent: the format holds every spec. */
  readonly holds?: Holds
  /** The format has one entry for a tensor's name, so that no constant can be stored in two forms. */
  readonly oneForm?: boolean
}

/**
 * What an export would silently lose. Errors:
 * `EXPORT_PARAMS` for a group without parameters, with unusable ones, or for a tensor that an integer kernel reads and that has
 * no encoding, neither of its own nor through nodes that move codes; `EXPORT_HOLDS`, once for each reason, for tensors that the
 * format cannot describe.
 */
export function complete(cx: ExportContext, demands: Demands = {}): Diagnostic[] {
  const diagnostics = new Diagnostics()
  groupsWithoutParams(cx, diagnostics)
  unreadable(cx, diagnostics)
  const held = demands.holds ?? (() => true)
  const refused = new Map<string, string[]>()
  const refuse = (tensor: TensorPlan, why: string) => refused.set(why, [...(refused.get(why) ?? []), tensor.value])
  for (const tensor of cx.plan.tensors) {
    const params = cx.params.get(tensor.group)
    const answer = params ? held(tensor, params) : true
    if (answer !== true) refuse(tensor, answer)
  }
  if (demands.oneForm) for (const tensor of secondForms(cx)) refuse(tensor, 'its readers want it in two forms')
  for (const [why, values] of refused) {
    diagnostics.error('EXPORT_HOLDS', `the format cannot hold ${quoted(values)}: ${why}`, {
      at: { value: must(values[0], 'refused tensor') },
      fix: 'plan for a target that writes this format, or choose another exporter',
      data: { tensors: values },
    })
  }
  return diagnostics.list
}

function groupsWithoutParams(cx: ExportContext, diagnostics: Diagnostics): void {
  const values = valuesByName(cx.model.graph)
  for (const [group, members] of groupsOf(cx.plan)) {
    const params = cx.params.get(group)
    const dims = values.get(must(members[0], 'member of a group').value)?.constant?.dims
    const what = params ? unusable(params, dims) : 'has no scale'
    if (!what) continue
    const names = members.map((t) => t.value)
    const others = names.length > 1 || names[0] !== group ? `, which ${quoted(names)} take,` : ''
    diagnostics.error('EXPORT_PARAMS', `"${group}"${others} ${what}`, {
      at: { value: group },
      fix: 'calibrate first',
      data: { tensors: names },
    })
  }
}

function unusable({ spec, scale, zeroPoint }: QuantParams, dims: readonly number[] | undefined): string | undefined {
  const count = dims ? paramCount(dims, spec.granularity) : scale.length
  if (scale.length !== count || zeroPoint.length !== count) return `needs ${count} scales and has ${scale.length}`
  if (!scale.every((s) => Number.isFinite(s) && s > 0)) return 'has a scale that is no positive number'
  const isCode = (z: number) => Number.isInteger(z) && z >= spec.quantMin && z <= spec.quantMax
  return zeroPoint.every((z) => z === 0 || isCode(z)) ? undefined : 'has a zero point that is no code'
}

/** What integer kernels read must be encoded, if only through nodes that move codes. */
function unreadable(cx: ExportContext, diagnostics: Diagnostics): void {
  const planned = new Set(cx.plan.tensors.map((t) => t.value))
  const encoded = activationEncodings(cx)
  const integer = new Set(cx.plan.nodes.filter((n) => n.decision === 'integer').map((n) => n.node))
  const missing = new Set<string>()
  for (const node of cx.model.graph.nodes) {
    for (const { name } of integer.has(node.name) ? dataOf(node, cx.ops ?? defaultOps) : []) {
      if (!planned.has(name) && !encoded.has(name)) missing.add(name)
    }
  }
  for (const value of missing) {
    diagnostics.error('EXPORT_PARAMS', `"${value}" is read by an integer kernel and has no encoding`, {
      at: { value },
      fix: 'plan and calibrate again for this target',
      data: { tensors: [value] },
    })
  }
}

/** Inputs that carry data, constants aside. */
function dataOf(node: Node, ops: OpRegistry): Value[] {
  const def = ops.of(node)
  const isData = (value: Value | null, i: number): value is Value =>
    value !== null && !value.constant && def !== undefined && ['activation', 'weight'].includes(inputRole(def, i))
  return node.inputs.filter(isData)
}

/** Tensors whose name an earlier one of the plan has already. */
function secondForms({ plan }: ExportContext): TensorPlan[] {
  const seen = new Set<string>()
  // Fills are on the scales of other tensors, and no table lists them.
  return plan.tensors.filter(({ role, value }) => role !== 'fill' && seen.size === seen.add(value).size)
}

/** The first names in quotes, and how many more there are. */
function quoted(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((name) => `"${name}"`)
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ')
}
