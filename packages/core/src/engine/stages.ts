import { dependencies, extract, type Model, type Node, type Value } from '../ir/index.ts'
import { type AttrValues, type OpDef, readAttrs, versionIn } from '../ops/index.ts'
import { must } from '../util/index.ts'

/** A call of a JavaScript function between two parts of a graph. */
export interface Call {
  readonly node: Node
  readonly def: OpDef
  readonly attrs: AttrValues<OpDef['attrs']>
}

/** What runs together: a part of the graph on the engine, then the functions that read its results. */
export interface Stage {
  /** Undefined where functions follow one another directly. */
  readonly part: Model | undefined
  readonly calls: readonly Call[]
}

/**
 * Cuts a graph at nodes that the engine cannot run. Stage s holds what depends on at most s of them in a row, so that each part runs
 * once; values that later stages or the caller need become outputs of a part and inputs of those after it.
 */
export function cutIntoStages(model: Model, evaluated: ReadonlyMap<Node, OpDef>): Stage[] {
  const { nodes, count } = depths(model, evaluated)
  return Array.from({ length: count }, (_, s) => {
    const own = [...nodes].filter(([, depth]) => depth === s).map(([node]) => node)
    const calls = own
      .filter((node) => evaluated.has(node))
      .map((node) => callOf(node, must(evaluated.get(node), 'definition'), model))
    const kernels = new Set(own.filter((node) => !evaluated.has(node)))
    return { part: partOf(kernels, model), calls }
  })
}

/** How many evaluated nodes lie one behind the other before each node. */
function depths(model: Model, evaluated: ReadonlyMap<Node, OpDef>) {
  const nodes = new Map<Node, number>()
  const after = ({ producer }: Value): number => {
    const depth = producer ? nodes.get(producer) : undefined
    return depth === undefined ? 0 : depth + (producer && evaluated.has(producer) ? 1 : 0)
  }
  for (const node of model.graph.nodes) nodes.set(node, Math.max(0, ...[...dependencies(node)].map(after)))
  return { nodes, count: 1 + Math.max(0, ...nodes.values()) }
}

function partOf(kernels: ReadonlySet<Node>, model: Model): Model | undefined {
  const { graph } = model
  const isInside = (value: Value) => value.producer !== null && kernels.has(value.producer)
  const inputs = new Set(
    [...kernels].flatMap((node) => [...dependencies(node)]).filter((v) => !isInside(v) && isFed(v, model)),
  )
  const made = [...kernels].flatMap((node) => node.outputs.filter((v) => v !== null))
  const outputs = made.filter((v) => graph.isOutput(v) || readOutside(v, kernels, model))
  return outputs.length > 0 ? extract(model, [...inputs], outputs) : undefined
}

/** Computed by another part or given by the caller; initializers come along with a part. */
const isFed = (value: Value, { graph }: Model): boolean => value.producer !== null || graph.isInput(value)

const readOutside = (value: Value, kernels: ReadonlySet<Node>, { graph }: Model): boolean =>
  value.consumers().some((reader) => !kernels.has(outermost(reader, graph.nodes)))

/** The node of the main graph that holds a reader, if it stands in a nested graph. */
function outermost(node: Node, nodes: Model['graph']['nodes']): Node {
  let at = node
  while (at.graph?.nodes !== nodes && at.graph?.owner) at = at.graph.owner
  return at
}

function callOf(node: Node, def: OpDef, model: Model): Call {
  return { node, def, attrs: readAttrs(def, node, versionIn(def, model) ?? def.since[0] ?? 1) }
}
