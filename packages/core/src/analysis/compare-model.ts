import {
  attribute,
  Cloner,
  copyHeader,
  type Graph,
  GraphBuilder,
  Model,
  Tensor,
  tensorType,
  UniqueNames,
  type Value,
} from '../ir/index.ts'
import type { ValuePair } from './pairs.ts'

/** Numbers of each pair's output: Σr², Σc², Σ(c − r)², max|c − r|, and the number of elements, exact up to 2^24. */
export const NUMBERS_PER_PAIR = 5

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

  const second = graft(graph, candidate)
  const reducer = new PairReducer(graph)
  const outputs = pairs.map((pair, i) => reducer.add(i, first.read(pair.reference), second.read(pair.candidate)))
  graph.outputs.length = 0
  graph.outputs.push(...outputs.reverse())
  return model
}

/** Adds the candidate's nodes and initializers under fresh names; its inputs become the graph's inputs of the same name. */
function graft(graph: Graph, candidate: Model): Cloner {
  const cloner = new Cloner()
  for (const input of candidate.graph.inputs) {
    const shared = graph.inputs.find((value) => value.name === input.name)
    if (shared) cloner.values.set(input, shared)
  }
  const names = new UniqueNames(graph)
  const rename = (value: Value): void => {
    value.name = names.value(`candidate/${value.name}`)
  }
  for (const value of candidate.graph.initializers) {
    if (cloner.values.has(value)) continue
    const copy = cloner.define(value)
    rename(copy)
    graph.initializers.add(copy)
  }
  for (const node of candidate.graph.nodes) {
    const copy = cloner.node(node)
    copy.name = names.node(`candidate/${node.name}`)
    for (const output of copy.outputs) if (output) rename(output)
    graph.add(copy)
  }
  return cloner
}

/** Writes the reductions of each pair. */
class PairReducer {
  readonly #b: GraphBuilder
  readonly #one: Value

  constructor(graph: Graph) {
    this.#b = new GraphBuilder(graph)
    this.#one = this.#b.constant('fewbit_one', Tensor.int64([1], [1]))
  }

  add(index: number, r: Value, c: Value): Value {
    const float = { to: attribute.int(1) }
    const reference = this.#b.op('Cast', [r], float)
    const candidate = this.#b.op('Cast', [c], float)
    const difference = this.#b.op('Sub', [candidate, reference])
    const all = { keepdims: attribute.int(0) }
    const scalars = [
      this.#b.op('ReduceSumSquare', [reference], all),
      this.#b.op('ReduceSumSquare', [candidate], all),
      this.#b.op('ReduceSumSquare', [difference], all),
      this.#b.op('ReduceMax', [this.#b.op('Abs', [difference])], all),
      this.#b.op('Cast', [this.#b.op('Size', [reference])], float),
    ]
    const vectors = scalars.map((scalar) => this.#b.op('Reshape', [scalar, this.#one]))
    const types = [tensorType('float32', [NUMBERS_PER_PAIR])]
    return this.#b.op('Concat', vectors, { axis: attribute.int(0) }, { output: pairOutput(index), types })
  }
}
