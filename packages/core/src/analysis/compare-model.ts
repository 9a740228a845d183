import { Cloner, copyHeader, forgetSymbols, type Graph, graft, Model, type Value } from '../ir/index.ts'
import { PairReducer } from './pair-reducer.ts'
import type { ValuePair } from './pairs.ts'

/** Name of the output of the pair at this position. */
export const pairOutput = (index: number): string => `fewbit_pair_${index}`

/**
 * One model that runs both networks on the same inputs and reduces every pair to a few numbers inside the engine, so that no
 * activation leaves it: one float32 output for each pair. The last pair's output is declared first: ONNX Runtime orders nodes
 * from the outputs backwards, and so runs both networks side by side and lets go of each tensor once it is reduced.
 * Both networks must have the same opset and input names.
 */
export function comparisonModel(reference: Model, candidate: Model, pairs: readonly ValuePair[]): Model {
  const first = new Cloner()
  const graph = first.graph(reference.graph)
  const model = new Model(graph)
  copyHeader(reference, model)
  for (const [domain, version] of candidate.opsets) model.opsets.set(domain, Math.max(version, model.opset(domain)))
  model.irVersion = Math.max(reference.irVersion, candidate.irVersion)
  for (const def of reference.functions) model.functions.push(first.function(def))

  forgetSymbols(reference, first)
  const second = graft(graph, candidate, 'candidate', sharedInputs(graph, candidate))
  const reducer = new PairReducer(graph)
  const outputs = pairs.map((pair, i) =>
    reducer.add(pairOutput(i), first.read(pair.reference), second.read(pair.candidate)),
  )
  graph.outputs.length = 0
  graph.outputs.push(...outputs.reverse())
  return model
}

/** The candidate's inputs become the graph's inputs of the same name. */
function sharedInputs(graph: Graph, candidate: Model): Map<Value, Value> {
  const inputs = new Map(graph.inputs.map((value) => [value.name, value]))
  return new Map(
    candidate.graph.inputs.flatMap((value): [Value, Value][] => {
      const shared = inputs.get(value.name)
      return shared ? [[value, shared]] : []
    }),
  )
}
