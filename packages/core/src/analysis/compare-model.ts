import { attribute, Cloner, type Graph, Model, Node, Tensor, UniqueNames, Value } from '../ir/index.ts'
import { copyHeader } from '../ir/clone.ts'
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
  readonly #graph: Graph
  readonly #sums: Value[] = []
  readonly #counts: Value[] = []
  readonly #one: Value
  #serial = 0

  constructor(graph: Graph) {
    this.#graph = graph
    this.#one = graph.addInitializer('fewbit/one', Tensor.int64([1], [1]))
  }

  add(r: Value, c: Value): void {
    const reference = this.#op('Cast', [r], { to: attribute.int(1) })
    const candidate = this.#op('Cast', [c], { to: attribute.int(1) })
    const difference = this.#op('Sub', [candidate, reference])
    const all = { keepdims: attribute.int(0) }
    const scalars = [
      this.#op('ReduceSumSquare', [reference], all),
      this.#op('ReduceSumSquare', [candidate], all),
      this.#op('ReduceSumSquare', [difference], all),
      this.#op('ReduceMax', [this.#op('Abs', [difference])], all),
    ]
    for (const scalar of scalars) this.#sums.push(this.#op('Reshape', [scalar, this.#one]))
    this.#counts.push(this.#op('Reshape', [this.#op('Size', [reference]), this.#one]))
  }

  finish(): Value[] {
    return [
      this.#op('Concat', this.#sums, { axis: attribute.int(0) }, new Value(SUMS, floatVector)),
      this.#op('Concat', this.#counts, { axis: attribute.int(0) }, new Value(COUNTS, intVector)),
    ]
  }

  #op(opType: string, inputs: Value[], attributes: Record<string, attributeValue> = {}, output?: Value): Value {
    const name = `fewbit/${opType}_${this.#serial++}`
    const value = output ?? new Value(name)
    this.#graph.add(new Node({ opType, name, inputs, outputs: [value], attributes: Object.entries(attributes) }))
    return value
  }
}

type attributeValue = ReturnType<typeof attribute.int>
const floatVector = { kind: 'tensor', dtype: 'float32', shape: [null] } as const
const intVector = { kind: 'tensor', dtype: 'int64', shape: [null] } as const
