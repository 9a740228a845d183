import { measuredTensors, type NodePlan, type QuantPlan } from '../quant/index.ts'
import type { OutputErrors } from './output-error.ts'
import { tensorNoise } from './refine-observers.ts'
import type { SearchState } from './search.ts'

/** Below this SQNR (dB) accuracy suffers visibly and more arithmetic may stay in float. */
const POOR_SQNR = 25
/** Share of multiply-accumulates that may stay in float. */
const BUDGET = { poor: 0.15, dense: 0.08, scores: 0.03 }
/** Nodes that get a trial, most promising first. */
const CANDIDATES = 14
/** A node earns its place in float with at least this many dB, and with this many for each percent of the arithmetic. */
const MIN_GAIN = 0.75
const MIN_GAIN_PER_PERCENT = 0.1

interface Option {
  readonly node: NodePlan
  /** Share of the network's multiply-accumulates, 0 to 1. */
  readonly share: number
  /** dB that this node alone brings. */
  readonly gain: number
}

/**
 * Leaves the nodes in float that hurt most for what they cost: each affordable node is tried alone, then they are taken in
 * order of gain while each still pays. The first and the last layers are where this is usually decided.
 */
export async function keepFloat(state: SearchState, kind: 'dense' | 'scores'): Promise<void> {
  const { judgedBy } = state
  const budget = state.best[judgedBy] < POOR_SQNR ? BUDGET.poor : BUDGET[kind]
  const options = await tryAlone(state, affordable(state, budget))
  let spent = 0
  for (const { node, share } of options) {
    if (spent + share > budget) continue
    const floatNodes = [...(state.options.floatNodes ?? []), node.node]
    const pays = (errors: OutputErrors): boolean => isWorth(errors[judgedBy] - state.best[judgedBy], share)
    const what = `${floatNodes.length} nodes in float, with ${node.node}`
    const plan = state.plan({ ...state.options, floatNodes })
    if (!isMeasured(plan, state)) continue
    const judged = await state.judge.measure(what, plan, pays)
    if (!pays(judged)) continue
    state.options = { ...state.options, floatNodes }
    state.best = judged
    spent += share
  }
}

const isWorth = (gain: number, share: number): boolean => gain >= MIN_GAIN && gain >= MIN_GAIN_PER_PERCENT * 100 * share

/**
 * Integer nodes that sum products and fit the budget: those at the ends of the network first, whose inputs and outputs no
 * other layer can compensate, then those whose input loses most in quantization.
 */
function affordable(state: SearchState, budget: number): Omit<Option, 'gain'>[] {
  const total = [...state.macs.values()].reduce((a, b) => a + b, 0)
  const noise = inputNoise(state)
  const all = state.best.plan.nodes
    .filter((n) => n.decision === 'integer' && (n.macs ?? 0) > 0)
    .map((node) => ({ node, share: total > 0 ? (node.macs ?? 0) / total : 0, noise: noise.get(node.node) ?? 0 }))
  const ends = [...all.slice(0, 2), ...all.slice(-2)]
  const rest = all.filter((o) => !ends.includes(o)).sort((a, b) => b.noise - a.noise)
  return [...new Set([...ends, ...rest])].filter((o) => o.share <= budget).slice(0, CANDIDATES)
}

/** Noise-to-signal ratio of the noisiest tensor that each node reads. */
function inputNoise(state: SearchState): Map<string, number> {
  const noise = new Map<string, number>()
  for (const tensor of state.best.plan.tensors.filter((t) => t.role === 'activation')) {
    const own = tensorNoise(tensor, state)
    for (const reader of tensor.readers) noise.set(reader, Math.max(own, noise.get(reader) ?? 0))
  }
  return noise
}

/** Rarely, an exception makes others quantize what was not measured. */
export const isMeasured = (plan: QuantPlan, { stats }: Pick<SearchState, 'stats'>): boolean =>
  measuredTensors(plan).every((tensor) => stats.get(tensor.value) !== undefined)

async function tryAlone(state: SearchState, list: readonly Omit<Option, 'gain'>[]): Promise<Option[]> {
  const options: Option[] = []
  const { best, judgedBy } = state
  for (const { node, share } of list) {
    const plan = state.plan({ ...state.options, floatNodes: [node.node] })
    if (!isMeasured(plan, state)) continue
    const errors = await state.judge.measure(`${node.node} in float`, plan)
    options.push({ node, share, gain: errors[judgedBy] - best[judgedBy] })
  }
  return options.filter((o) => o.gain > 0).sort((a, b) => b.gain - a.gain)
}
