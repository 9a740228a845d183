import type { AnalysisReport } from '@fewbit/core/analysis'
import { count, percent } from '@fewbit/core/util'
import { legend } from './chart.ts'
import { dataTable, plainTable } from './data-table.ts'
import { el } from './element.ts'
import { folded, type Section, section } from './section.ts'

type Plan = NonNullable<AnalysisReport['plan']>
type NodePlan = Plan['nodes'][number]
type TensorPlan = Plan['tensors'][number]

const DECISIONS = ['integer', 'fused', 'quantized', 'float'] as const

export function planSection({ plan }: AnalysisReport): Section | undefined {
  if (!plan || plan.nodes.length === 0) return undefined
  return section(
    'plan',
    'Plan',
    'Which nodes the backend runs on integers and which not, by which rule, and how each tensor is quantized.',
    decisionBar(plan.nodes),
    reasonTable(plan.nodes),
    folded(`all ${plan.nodes.length} nodes`, () => nodeTable(plan.nodes)),
    plan.tensors.length > 0 && folded(`all ${plan.tensors.length} quantized tensors`, () => tensorTable(plan.tensors)),
  )
}

function decisionBar(nodes: readonly NodePlan[]): HTMLElement {
  const counts = DECISIONS.map((decision) => [decision, nodes.filter((n) => n.decision === decision).length] as const)
  const present = counts.filter(([, n]) => n > 0)
  const parts = present.map(([decision, n]) =>
    el('span', { class: decision, style: `flex-grow:${n}`, title: `${decision}: ${n}` }),
  )
  const names = present.map(([decision, n]) => [`${decision}: ${n}`, `block ${decision}`] as const)
  return el('div', {}, el('div', { class: 'stack', 'aria-hidden': 'true' }, ...parts), legend(names))
}

/** Nodes that one rule decided on, most multiply-accumulates first. */
function reasonTable(nodes: readonly NodePlan[]): HTMLElement {
  const groups = new Map<string, NodePlan[]>()
  for (const node of nodes) {
    const key = `${node.decision} ${node.reason.code}`
    groups.set(key, [...(groups.get(key) ?? []), node])
  }
  const macs = (some: readonly NodePlan[]) => some.reduce((sum, node) => sum + (node.macs ?? 0), 0)
  const all = macs(nodes)
  const sorted = [...groups.values()].sort((a, b) => macs(b) - macs(a) || b.length - a.length)
  const rows = sorted.map((group) => {
    const [first] = group as [NodePlan]
    const same = group.every(({ reason }) => reason.text === first.reason.text)
    const example = same ? first.reason.text : `${first.reason.text}, and the like`
    const operators = [...new Set(group.map(({ opType }) => opType))].sort()
    return [
      el('span', { class: `chip ${first.decision}` }, first.decision),
      example,
      operators.slice(0, 6).join(', ') + (operators.length > 6 ? ', …' : ''),
      group.length,
      all > 0 ? percent(macs(group) / all, 1) : '',
    ]
  })
  return plainTable('Decisions by rule', ['decision', 'why', 'operators', 'nodes', 'of MACs'], rows, 3)
}

function nodeTable(nodes: readonly NodePlan[]): HTMLElement {
  const { element } = dataTable<NodePlan>(
    'Nodes of the plan',
    [
      { head: 'node', value: (n) => n.node },
      { head: 'operator', value: (n) => n.opType },
      { head: 'decision', value: (n) => n.decision },
      { head: 'why', value: (n) => n.reason.text },
      {
        head: 'MACs',
        numeric: true,
        largestFirst: true,
        value: (n) => n.macs,
        show: (n) => (n.macs ? count(n.macs) : ''),
      },
    ],
    nodes,
  )
  return element
}

function tensorTable(tensors: readonly TensorPlan[]): HTMLElement {
  const { element } = dataTable<TensorPlan>(
    'Tensors of the plan',
    [
      { head: 'tensor', value: (t) => t.value },
      { head: 'role', value: (t) => t.role },
      { head: 'type', value: typeText },
      { head: 'shares its scale in', value: (t) => t.group },
      { head: 'read by', value: (t) => t.readers.join(', ') },
      { head: 'why', value: (t) => t.reason.text },
    ],
    tensors,
  )
  return element
}

/** Plans of later versions may hold other specs: what is not understood is not shown. */
function typeText({ spec }: TensorPlan): string | undefined {
  const { bits, signed, granularity } = (spec ?? {}) as {
    bits?: number
    signed?: boolean
    granularity?: { kind?: string }
  }
  if (bits === undefined) return undefined
  return `${signed ? '' : 'u'}int${bits}${granularity?.kind && granularity.kind !== 'tensor' ? ` per ${granularity.kind}` : ''}`
}
