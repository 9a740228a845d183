import type { Value } from '../ir/index.ts'
import { inputRole } from '../ops/index.ts'
import {
  Groups,
  type ParamSource,
  type QuantParams,
  type QuantSpec,
  quantize,
  type TensorPlan,
} from '../quant/index.ts'
import { constantOf, type ImportContext } from './context.ts'
import type { Entry } from './entries.ts'
import { sameParams } from './quantizer.ts'

const IMPORTED: ParamSource = { kind: 'imported' }

export interface ImportedTensors {
  readonly tensors: readonly TensorPlan[]
  readonly params: ReadonlyMap<string, QuantParams>
}

/** Plans and parameters of what the file quantizes, inputs first, then in the order of the graph. */
export function tensorPlans(entries: readonly Entry[], cx: ImportContext): ImportedTensors {
  const sorted = inOrder(entries, cx)
  const roles = new Map(sorted.map((e) => [e, roleOf(e, cx)]))
  const groups = groupNames(sorted, roles, cx)
  const params = new Map<string, QuantParams>()
  const plans = new Map<Entry, TensorPlan>()
  for (const entry of sorted) {
    const role = roles.get(entry) as TensorPlan['role']
    const group = groups.get(entry) as string
    const spec = params.get(group)?.spec ?? specOf(entry, role, cx)
    params.set(group, { ...entry.quantizer.params, spec })
    plans.set(entry, {
      value: entry.value.name,
      role,
      spec,
      source: IMPORTED,
      group,
      readers: [...entry.readers].map((node) => node.name),
      ...(entry.graphOutput ? { graphOutput: true as const } : {}),
      reason: { code: 'IMPORTED', text: reasonText(role, entry) },
    })
  }
  const tensors = [...plans.values()]
  return { tensors: tensors.map((t) => (t.role === 'bias' ? withProduct(t, tensors, params) : t)), params }
}

const reasonText = (role: TensorPlan['role'], { readers, graphOutput }: Entry): string => {
  const [first] = readers
  const where = first ? `in front of ${first.opType} "${first.name}"` : graphOutput ? 'at the output' : 'unread'
  return `${role === 'activation' ? 'quantized' : 'stored as codes'} in the file, ${where}`
}

function inOrder(entries: readonly Entry[], { graph }: ImportContext): Entry[] {
  const position = new Map<Value, number>()
  const see = (value: Value | null) => value && !position.has(value) && position.set(value, position.size)
  graph.inputs.forEach(see)
  for (const node of graph.nodes) {
    for (const value of node.inputs) if (value?.producer === null) see(value)
    node.outputs.forEach(see)
  }
  const at = (e: Entry) => position.get(e.value) ?? Infinity
  return [...entries].sort((a, b) => at(a) - at(b))
}

/** Constants are weights or biases by who reads them in the end; int32 codes without a zero point are how biases are stored. */
function roleOf(entry: Entry, cx: ImportContext): TensorPlan['role'] {
  if (!constantOf(entry.value, cx.graph)) return 'activation'
  const { spec } = entry.quantizer.params
  const roles = finalRoles(entry.value, cx)
  if (roles.has('fill')) return 'fill'
  return spec.bits === 32 && spec.symmetric && roles.has('bias') ? 'bias' : 'weight'
}

/** What operators use a value as, seen through those that only move its elements. */
function finalRoles(value: Value, cx: ImportContext, depth = 0): Set<string> {
  const roles = value.uses().flatMap(({ node, index }) => {
    const def = cx.ops.of(node)
    const moves = def?.quant.traits?.includes('scale-preserving') && index === 0 && depth < 8
    const [output] = node.outputs
    if (moves && output) return [...finalRoles(output, cx, depth + 1)]
    return def ? [inputRole(def, index)] : []
  })
  return new Set(roles)
}

/** Weights that leave the lowest code unused are on the narrow grid. */
function specOf({ value, quantizer }: Entry, role: TensorPlan['role'], cx: ImportContext): QuantSpec {
  const { params } = quantizer
  const { spec } = params
  const data = role === 'weight' && spec.symmetric ? constantOf(value, cx.graph) : undefined
  if (!data || spec.bits > 16) return spec
  const codes = quantize(data.numbers(), params, [...data.dims])
  const isNarrow = codes.every((q) => q > spec.quantMin)
  return isNarrow ? { ...spec, quantMin: spec.quantMin + 1 } : spec
}

/**
 * Tensors that read one scale and zero point share a group, named after the first. So do a tensor and what it is moved or joined into,
 * where their parameters are equal.
 */
function groupNames(
  entries: readonly Entry[],
  roles: ReadonlyMap<Entry, TensorPlan['role']>,
  cx: ImportContext,
): Map<Entry, string> {
  const sets = new Groups<Entry>()
  const byKey = new Map<string, Entry>()
  const byValue = new Map(entries.map((e) => [e.value, e]))
  for (const entry of entries) {
    const isData = ['activation', 'fill'].includes(roles.get(entry) ?? '')
    const kind = isData ? 'data' : `constant ${entry.value.name}`
    const key = `${kind} ${entry.quantizer.key}`
    const same = byKey.get(key)
    if (same) sets.union(same, entry)
    else byKey.set(key, entry)
  }
  for (const entry of entries) {
    for (const input of movedFrom(entry.value, cx)) {
      const source = byValue.get(input)
      if (source && sameParams(source.quantizer.params, entry.quantizer.params)) sets.union(source, entry)
    }
  }
  return nameSets(entries, sets)
}

function movedFrom({ producer }: Value, { ops, graph }: ImportContext): Value[] {
  const traits = (producer && ops.of(producer)?.quant.traits) ?? []
  const moves = traits.includes('scale-preserving')
  const joins = traits.includes('same-scale-inputs')
  const inputs = moves ? producer?.inputs.slice(0, 1) : joins ? producer?.inputs : []
  return (inputs ?? []).filter((v): v is Value => v !== null && v !== undefined && !constantOf(v, graph))
}

function nameSets(entries: readonly Entry[], sets: Groups<Entry>): Map<Entry, string> {
  const names = new Map<Entry, string>()
  const taken = new Set<string>()
  for (const entry of entries) {
    const root = sets.find(entry)
    if (names.has(root)) continue
    const { name } = entry.value
    const [reader] = entry.readers
    let group = taken.has(name) ? `${name}@${reader?.name ?? ''}` : name
    while (taken.has(group)) group += '_'
    taken.add(group)
    names.set(root, group)
  }
  return new Map(entries.map((entry) => [entry, names.get(sets.find(entry)) as string]))
}

/** A bias on the accumulator's grid says so: its scale is the product of those of its node's input and weight. */
function withProduct(
  bias: TensorPlan,
  tensors: readonly TensorPlan[],
  params: ReadonlyMap<string, QuantParams>,
): TensorPlan {
  const beside = tensors.filter((t) => t.readers.some((reader) => bias.readers.includes(reader)))
  const input = beside.find((t) => t.role === 'activation')
  const weight = beside.find((t) => t.role === 'weight')
  const scales = params.get(bias.group)?.scale ?? []
  const x = input && params.get(input.group)?.scale[0]
  const w = weight && params.get(weight.group)?.scale
  if (!x || !w) return bias
  // Writers multiply in float32 or double: one unit in the last place, with room for a second rounding.
  const isProduct = scales.every((s, i) => Math.abs(s / (x * (w[i % w.length] as number)) - 1) < 2 ** -22)
  return isProduct ? { ...bias, source: { kind: 'bias', input: input.group, weight: weight.group } } : bias
}
