import type { AnalysisLayer, AnalysisReport, TensorReport } from '@fewbit/core/analysis'

type NodePlan = NonNullable<AnalysisReport['plan']>['nodes'][number]

/** One line of the table of layers and the subject of one drawer: a node, or an input of the network. */
export interface LayerRow {
  readonly index: number
  readonly name: string
  readonly opType: string
  /** Absent for inputs, and for nodes of which only tensors are known. */
  readonly layer?: AnalysisLayer
  readonly plan?: NodePlan
  /** Constants that it reads and activations that it makes. */
  readonly tensors: readonly TensorReport[]
  /** Activations that it reads. */
  readonly inputs: readonly TensorReport[]
}

/** Inputs of the network, its layers in graph order, then nodes that only tensors name. */
export function layerRows({ layers, tensors = [], plan }: AnalysisReport): LayerRow[] {
  const owned = groupBy(tensors, ({ layer }) => layer)
  const plans = new Map(plan?.nodes.map((node) => [node.node, node]))
  const inputs = activationsByReader(tensors, plan)
  const known = new Set(layers.map(({ node }) => node))
  const others = [...owned.keys()].filter((name): name is string => name !== undefined && !known.has(name))
  const node = (name: string, opType: string) => ({
    ...{ name, opType, tensors: owned.get(name) ?? [], inputs: inputs.get(name) ?? [] },
    ...(plans.has(name) ? { plan: plans.get(name) as NodePlan } : {}),
  })
  const rows: Omit<LayerRow, 'index'>[] = [
    ...(owned.get(undefined) ?? []).map((tensor) => ({
      name: tensor.value,
      opType: 'input',
      tensors: [tensor],
      inputs: [],
    })),
    ...layers.map((layer) => ({ ...node(layer.node, layer.opType), layer })),
    ...others.map((name) => node(name, plans.get(name)?.opType ?? '')),
  ]
  return rows.map((row, index) => ({ ...row, index }))
}

function activationsByReader(tensors: readonly TensorReport[], plan: AnalysisReport['plan']) {
  const reports = new Map(tensors.map((tensor) => [tensor.value, tensor]))
  const readings = (plan?.tensors ?? []).flatMap(({ role, value, readers }) => {
    const tensor = role === 'activation' ? reports.get(value) : undefined
    return tensor ? readers.map((reader) => ({ reader, tensor })) : []
  })
  return new Map(
    [...groupBy(readings, ({ reader }) => reader)].map(([name, all]) => [name, all.map(({ tensor }) => tensor)]),
  )
}

function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}

/** Beyond this many dB lies float32's own rounding, which no quantizer makes: drawn beside them, it would flatten all other layers. */
const EXACT = 120

/** An SQNR that can be drawn; undefined for layers that are exact, broken or not measured. */
export const drawable = (db: number | undefined): number | undefined =>
  db !== undefined && Number.isFinite(db) && db <= EXACT ? db : undefined

/** The largest of a figure of the row's tensors; undefined where none has it. */
export function largest(row: LayerRow, figure: (tensor: TensorReport) => number | undefined): number | undefined {
  const values = row.tensors.map(figure).filter((value) => value !== undefined)
  return values.length > 0 ? Math.max(...values) : undefined
}

export interface LayerFilter {
  /** Part of the name or of the operator, in any case. */
  readonly text: string
  /** Empty: all. */
  readonly opType: string
  readonly decision: string
  /** Only layers with an SQNR, of either kind, at or below this many dB. */
  readonly atMost: number | undefined
}

export function passes(row: LayerRow, { text, opType, decision, atMost }: LayerFilter): boolean {
  const wanted = text.trim().toLowerCase()
  const { graphwise, isolated } = row.layer ?? {}
  return (
    (wanted === '' || `${row.name} ${row.opType}`.toLowerCase().includes(wanted)) &&
    (opType === '' || row.opType === opType) &&
    (decision === '' || decisionOf(row) === decision) &&
    (atMost === undefined || [graphwise, isolated].some((error) => error !== undefined && !(error.sqnr > atMost)))
  )
}

export const decisionOf = (row: LayerRow): string => row.layer?.decision ?? row.plan?.decision ?? ''
