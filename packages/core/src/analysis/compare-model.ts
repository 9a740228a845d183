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

/** Names of the two outputs of a comparison model. */
export const SUMS = 'fewbit_sums'
export const COUNTS = 'fewbit_counts'
/** Numbers per pair in `SUMS`: Σr², Σc², Σ(c − r)², max|c − r|. */
export const SUMS_PER_PAIR = 4

/**
 * One model that runs both networks on the same inputs and reduces every pair to four numbers inside the engine, so that no
 * activation leaves it. Outputs: `SUMS` float32[4·pairs] and `COUNTS` int64[pairs], in the order of `pairs`.
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
  for (const pair of pairs) reducer.add(first.read(pair.reference), second.read(pair.candidate))
  graph.outputs.length = 0
  graph.outputs.push(...reducer.finish())
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

/** Writes the reductions of each pair and gathers them into two outputs. */
class PairReducer {
  readonly #b: GraphBuilder
  readonly #sums: Value[] = []
  readonly #counts: Value[] = []
  readonly #one: Value

  constructor(graph: Graph) {
    this.#b = new GraphBuilder(graph)
    this.#one = this.#b.constant('fewbit_one', Tensor.int64([1], [1]))
  }

  add(r: Value, c: Value): void {
    const reference = this.#b.op('Cast', [r], { to: attribute.int(1) })
    const candidate = this.#b.op('Cast', [c], { to: attribute.int(1) })
    const difference = this.#b.op('Sub', [candidate, reference])
    const all = { keepdims: attribute.int(0) }
    const scalars = [
      this.#b.op('ReduceSumSquare', [reference], all),
      this.#b.op('ReduceSumSquare', [candidate], all),
      this.#b.op('ReduceSumSquare', [difference], all),
      this.#b.op('ReduceMax', [this.#b.op('Abs', [difference])], all),
    ]
    for (const scalar of scalars) this.#sums.push(this.#b.op('Reshape', [scalar, this.#one]))
    this.#counts.push(this.#b.op('Reshape', [this.#b.op('Size', [reference]), this.#one]))
  }

  finish(): Value[] {
    const axis = { axis: attribute.int(0) }
    return [
      this.#b.op('Concat', this.#sums, axis, { output: SUMS, types: [tensorType('float32', [null])] }),
      this.#b.op('Concat', this.#counts, axis, { output: COUNTS, types: [tensorType('int64', [null])] }),
    ]
  }
}
