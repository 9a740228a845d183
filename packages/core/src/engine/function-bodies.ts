import { allGraphs, type FunctionDef, type Model, NamePool, type Node, nameNodes, parseFunction } from '../ir/index.ts'
import type { OpDef, OpRegistry } from '../ops/index.ts'
import { problem } from '../util/index.ts'

/** The lowest IR version whose files hold functions. */
const FUNCTIONS_IR = 8

/**
 * Gives a model the bodies of the operators that it uses and that are ONNX functions, in place, so that every engine runs it.
 * Bodies that the model has already stay. A body that imports no ai.onnx is written in the model's version of it.
 * @returns whether the model changed.
 * @throws FewbitError CUSTOM_OP_BODY
 */
export function addFunctionBodies(model: Model, ops: OpRegistry): boolean {
  const added: string[] = []
  // Bodies may call further functions.
  for (let open = missingBodies(model, ops); open.length > 0; open = missingBodies(model, ops)) {
    for (const def of open) {
      model.functions.push(functionOf(def, model))
      if (model.opset(def.domain) === 0) model.opsets.set(def.domain, def.since.at(-1) ?? 1)
      added.push(def.type)
    }
  }
  if (added.length > 0) model.irVersion = Math.max(model.irVersion, FUNCTIONS_IR)
  return added.length > 0
}

export const hasBody = (model: Model, { domain, opType }: Pick<Node, 'domain' | 'opType'>): boolean =>
  model.functions.some((f) => f.domain === domain && f.name === opType)

function missingBodies(model: Model, ops: OpRegistry): OpDef[] {
  const found = new Set<OpDef>()
  for (const graph of allGraphs(model)) {
    for (const node of graph.nodes) {
      const def = ops.of(node)
      if (def?.body !== undefined && !hasBody(model, node)) found.add(def)
    }
  }
  return [...found]
}

function functionOf(def: OpDef, model: Model): FunctionDef {
  const parsed = parseBody(def)
  const body = { ...parsed, opsets: new Map([['', model.opset()], ...parsed.opsets]) }
  const taken = [...allGraphs(model)].flatMap((graph) => [...graph.nodes].map((node) => node.name))
  for (const node of body.graph.nodes) node.name = `${def.type}/${node.name || node.opType}`
  nameNodes(body.graph, new NamePool(taken))
  return body
}

/**
 * The operator's ONNX function.
 * @throws FewbitError CUSTOM_OP_BODY for text that cannot be read or defines another operator.
 */
export function parseBody(def: OpDef): FunctionDef {
  const type = `${def.domain}::${def.type}`
  let found: FunctionDef
  try {
    found = parseFunction(def.body ?? '')
  } catch (cause) {
    const why = (cause as Error).message.split('\n')[0]
    throw problem('CUSTOM_OP_BODY', `the function body of ${type} cannot be read: ${why}`, {}, cause)
  }
  if (`${found.domain}::${found.name}` === type) return found
  throw problem('CUSTOM_OP_BODY', `the function body of ${type} defines ${found.domain}::${found.name}`)
}
