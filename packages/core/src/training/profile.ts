import { problem } from '../util/index.ts'

/** What the nodes of one operator cost in a run. */
export interface OperatorTime {
  readonly operator: string
  readonly nodes: number
  /** Milliseconds of one run, all nodes together: the sum of each node's median. */
  readonly ms: number
  /** Of the time of all operators, 0 to 1. */
  readonly share: number
}

interface TraceEvent {
  readonly cat?: string
  readonly name?: string
  /** Microseconds. */
  readonly dur?: number
  readonly args?: { readonly op_name?: string; readonly node_index?: string }
}

/**
 * Where the time of runs goes, dearest operator first, from the trace that ONNX Runtime writes (`LoadOptions.profile`).
 * @throws FewbitError PROFILE_FORMAT where the text is no such trace.
 */
export function operatorTimes(trace: string): OperatorTime[] {
  const nodes = new Map<string, { readonly operator: string; readonly times: number[] }>()
  for (const { cat, name = '', dur = 0, args } of eventsOf(trace)) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || !args?.op_name) continue
    const key = args.node_index ?? name
    const node = nodes.get(key) ?? { operator: args.op_name, times: [] }
    nodes.set(key, node)
    node.times.push(dur / 1000)
  }
  const operators = new Map<string, { nodes: number; ms: number }>()
  for (const { operator, times } of nodes.values()) {
    const sum = operators.get(operator) ?? { nodes: 0, ms: 0 }
    operators.set(operator, { nodes: sum.nodes + 1, ms: sum.ms + median(times) })
  }
  const total = [...operators.values()].reduce((sum, { ms }) => sum + ms, 0)
  return [...operators]
    .map(([operator, { nodes, ms }]) => ({ operator, nodes, ms, share: total > 0 ? ms / total : 0 }))
    .sort((a, b) => b.ms - a.ms)
}

function eventsOf(trace: string): readonly TraceEvent[] {
  try {
    const events: unknown = JSON.parse(trace)
    if (Array.isArray(events)) return events
  } catch {
    // Said below.
  }
  throw problem('PROFILE_FORMAT', 'the profile is not a trace of ONNX Runtime', {
    fix: 'give the JSON file that it wrote, whole',
  })
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}
