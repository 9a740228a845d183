import type { Model } from '../ir/index.ts'
import type { TraceEvent } from '../passes/index.ts'
import { explainNode, explanationText, type NodeExplanation } from '../quant/index.ts'
import { FewbitError } from '../util/index.ts'
import { type PlanOptions, planModel } from './quantize.ts'

export interface Why {
  /** The planner's decision, unless rewriting removed the node before planning. */
  readonly explanation?: NodeExplanation
  /** What rewrite rules did to the node, or why they left it. */
  readonly rewrites: readonly TraceEvent[]
  readonly text: string
}

/**
 * Why a node is, or is not, quantized, and with what. Needs no data.
 * @throws FewbitError NODE_UNKNOWN with the nearest names; what `plan` throws.
 */
export async function why(model: Model, node: string, options: PlanOptions): Promise<Why> {
  const { plan, float, trace } = await planModel(model, options)
  const rewrites = trace.filter((event) => event.node === node)
  const made = [...float.graph.nodes].find((n) => n.name === node)?.outputs.flatMap((value) => value?.name ?? []) ?? []
  const explanation = tryExplain(() => explainNode(plan, node, { outputs: made }), rewrites, model, node)
  const lines = rewrites.map(
    (event) => `  ${event.kind === 'fired' ? 'rewritten' : 'not rewritten'} by ${event.pass}: ${event.text}`,
  )
  const gone = `${node}\n  gone before planning: rewriting the graph removed it\n`
  const text = (explanation ? explanationText(explanation) : gone) + lines.join('\n')
  return { ...(explanation ? { explanation } : {}), rewrites, text: text.trimEnd() }
}

/** A node that is in the file but not in the plan was rewritten away. */
function tryExplain(explain: () => NodeExplanation, rewrites: readonly TraceEvent[], model: Model, node: string) {
  try {
    return explain()
  } catch (error) {
    const isKnown = rewrites.length > 0 || [...model.graph.nodes].some((n) => n.name === node)
    if (error instanceof FewbitError && error.code === 'NODE_UNKNOWN' && isKnown) return undefined
    throw error
  }
}
