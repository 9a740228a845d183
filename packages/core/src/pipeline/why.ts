import { isQuantized } from '../import/index.ts'
import type { Model } from '../ir/index.ts'
import type { TraceEvent } from '../passes/index.ts'
import { explainNode, explanationText, type NodeExplanation } from '../quant/index.ts'
import { FewbitError, problem } from '../util/index.ts'
import { importModel } from './import-model.ts'
import { type PlanOptions, planModel } from './quantize.ts'
import { Run } from './run.ts'

export interface Why {
  /** The planner's decision, unless rewriting removed the node before planning. */
  readonly explanation?: NodeExplanation
  /** What rewrite rules did to the node, or why they left it. */
  readonly rewrites: readonly TraceEvent[]
  readonly text: string
}

/**
 * Why a node is, or is not, quantized, and with what: in a float model by what would be planned, in a quantized one by what the
 * file says. Needs no data.
 * @throws FewbitError NODE_UNKNOWN with the nearest names; OPTION_INVALID for planning options with a quantized model; what `plan` throws.
 */
export async function why(model: Model, node: string, options: PlanOptions): Promise<Why> {
  return isQuantized(model, new Run(options).ops) ? whyImported(model, node, options) : whyPlanned(model, node, options)
}

async function whyPlanned(model: Model, node: string, options: PlanOptions): Promise<Why> {
  const { plan, float, trace } = await planModel(model, options)
  const rewrites = trace.filter((event) => event.node === node)
  const outputs = outputsOf(float, node)
  const explanation = tryExplain(() => explainNode(plan, node, { outputs }), rewrites, model, node)
  const lines = rewrites.map(
    (event) => `  ${event.kind === 'fired' ? 'rewritten' : 'not rewritten'} by ${event.pass}: ${event.text}`,
  )
  const gone = `${node}\n  gone before planning: rewriting the graph removed it\n`
  const text = (explanation ? explanationText(explanation) : gone) + lines.join('\n')
  return { ...(explanation ? { explanation } : {}), rewrites, text: text.trimEnd() }
}

/** What a quantized file says of a node needs no plan, so that options of planning would change nothing. */
function whyImported(file: Model, node: string, options: PlanOptions): Why {
  const { scheme, perTensor, overrides = [], floatOps = [] } = options
  if (scheme !== undefined || perTensor || overrides.length + floatOps.length > 0) {
    throw problem('OPTION_INVALID', 'the model is quantized already: options that plan change nothing here', {
      fix: 'leave them out, or ask about the float model',
    })
  }
  const { model, plan, params } = importModel(file, new Run(options), options.target)
  const explanation = explainNode(plan, node, { outputs: outputsOf(model, node), params })
  return { explanation, rewrites: [], text: explanationText(explanation).trimEnd() }
}

const outputsOf = (model: Model, node: string): string[] =>
  [...model.graph.nodes].find((n) => n.name === node)?.outputs.flatMap((value) => value?.name ?? []) ?? []

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
