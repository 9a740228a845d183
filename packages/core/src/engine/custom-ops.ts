import { allGraphs, cloneModel, type Model, type Node, nestedGraphs, readModel } from '../ir/index.ts'
import type { OpDef, OpRegistry } from '../ops/index.ts'
import { inferShapes } from '../passes/infer-shapes.ts'
import { problem } from '../util/index.ts'
import type { Engine, LoadOptions, ModelSource, Session } from './engine.ts'
import { addFunctionBodies, hasBody } from './function-bodies.ts'
import { StagedSession } from './staged-session.ts'
import { cutIntoStages } from './stages.ts'

/**
 * An engine that also runs the operators of a registry that it does not know itself: those with an ONNX function body as functions
 * of the model, those with a JavaScript function by cutting the graph there and running the parts in order.
 * Models in files are handed on as they are.
 */
export function withCustomOps(engine: Engine, ops: OpRegistry): Engine {
  const custom = [...ops].filter((def) => def.body !== undefined || def.evaluate !== undefined)
  if (custom.length === 0) return engine
  const { name, version, capabilities, startPool } = engine
  const pool = startPool && { startPool }
  return { name, version, capabilities, ...pool, load: (model, options) => load(engine, ops, model, options) }
}

async function load(engine: Engine, ops: OpRegistry, source: ModelSource, options?: LoadOptions): Promise<Session> {
  if ('path' in source) return engine.load(source, options)
  const given = source instanceof Uint8Array ? readModel(source) : source
  if (!usesCustomOps(given, ops)) return engine.load(source, options)
  const model = cloneModel(given)
  const isChanged = addFunctionBodies(model, ops)
  const evaluated = evaluatedNodes(model, ops)
  if (evaluated.size === 0) return engine.load(isChanged ? model : source, options)
  inferShapes(model, { ops })
  return StagedSession.load(engine, model, cutIntoStages(model, evaluated), options)
}

/** Most models do not, and need no copy. */
function usesCustomOps(model: Model, ops: OpRegistry): boolean {
  return [...allGraphs(model)].some((graph) =>
    [...graph.nodes].some((node) => {
      const def = ops.of(node)
      return def?.body !== undefined || def?.evaluate !== undefined
    }),
  )
}

/**
 * Nodes that only JavaScript can run, with their definitions.
 * @throws FewbitError CUSTOM_OP_NESTED for one inside a nested graph, which no cut reaches.
 */
function evaluatedNodes(model: Model, ops: OpRegistry): Map<Node, OpDef> {
  const found = new Map<Node, OpDef>()
  for (const graph of nestedGraphs(model.graph)) {
    for (const node of graph.nodes) {
      const def = ops.of(node)
      if (def?.evaluate === undefined || hasBody(model, node)) continue
      if (graph !== model.graph) throw nested(node)
      found.set(node, def)
    }
  }
  return found
}

const nested = (node: Node) =>
  problem(
    'CUSTOM_OP_NESTED',
    `${node.qualifiedType} "${node.name}" stands in a nested graph, where JavaScript cannot run it`,
    {
      at: { node: node.name },
      fix: 'give the operator an ONNX function body',
    },
  )
