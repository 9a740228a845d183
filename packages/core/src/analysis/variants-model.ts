import {
  asTensor,
  Cloner,
  copyHeader,
  dependencies,
  extract,
  graft,
  Model,
  type Node,
  tensorType,
  Value,
  valuesByName,
  withoutSymbols,
} from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import { isFloat } from '../util/index.ts'
import { classScores } from './class-scores.ts'
import { PairReducer } from './pair-reducer.ts'

/** Name of the result for an output of the network in one of the variants. */
export const variantResult = (variant: number, output: number): string => `fewbit_variant_${variant}_${output}`

/** Name of the input that takes the float network's output at this position. */
export const referenceInput = (output: number): string => `fewbit_reference_${output}`

/** Positions of the outputs that can be compared. */
export const comparedOutputs = ({ graph }: Model): number[] =>
  graph.outputs.flatMap((value, i) => (isFloat(asTensor(value.type)?.dtype ?? 'float32') ? [i] : []))

/**
 * Several variants of one network in one graph. What a variant has in common with the float network, which is all that stands before
 * its first change, is computed once for all. Every output of every variant is reduced to a few numbers against the float network's
 * output, which is fed: `readSums` and `readDivergence` read them.
 * @param variants copies of `float` that share its tensors, with nodes and constants changed, added or replaced.
 */
export function variantsModel(float: Model, variants: readonly Model[], ops: OpRegistry): Model {
  const cloner = new Cloner()
  const model = new Model(cloner.graph(float.graph))
  copyHeader(float, model)
  for (const def of float.functions) model.functions.push(cloner.function(def))
  const { graph } = model
  const own = [...graph.inputs]
  const results = variants.map((variant, i) => {
    for (const [domain, version] of variant.opsets) model.opsets.set(domain, Math.max(version, model.opset(domain)))
    const copied = graft(graph, variant, `variant_${i}`, unchanged(float, variant, cloner))
    return float.graph.outputs.map(({ name }, j) => {
      const { outputs } = variant.graph
      const value = outputs.find((output) => output.name === name) ?? outputs[j]
      return value && copied.read(value)
    })
  })
  const references = float.graph.outputs.map((value, i) => {
    const type = asTensor(withoutSymbols(value.type))
    return new Value(referenceInput(i), tensorType(type?.dtype ?? 'float32', type?.shape))
  })
  const compared = comparedOutputs(float)
  graph.inputs.push(...compared.map((j) => references[j] as Value))
  const reducer = new PairReducer(graph)
  const outputs = results.flatMap((values, i) =>
    compared.flatMap((j) => {
      const value = values[j]
      const scores = classScores(float, j, ops)
      return value ? [reducer.add(variantResult(i, j), references[j] as Value, value, scores)] : []
    }),
  )
  // The engine runs what the last output needs first: variants one after the other, from the input on.
  return extract(model, [...own, ...compared.map((j) => references[j] as Value)], outputs.reverse())
}

/** Number of nodes that a variant does not share with the float network. */
export function changedNodes(float: Model, variant: Model): number {
  const same = unchanged(float, variant, new Cloner())
  return [...variant.graph.nodes].filter((node) => !isMade(node, same)).length
}

const isMade = (node: Node, same: ReadonlyMap<Value, Value>): boolean =>
  node.outputs.every((value) => !value || same.has(value))

/** Values of the variant that equal those of the float network, whatever the data → their copies by `cloner`. */
function unchanged(float: Model, variant: Model, cloner: Cloner): Map<Value, Value> {
  const known = valuesByName(float.graph)
  const nodes = new Map([...float.graph.nodes].map((node) => [node.name, node]))
  const same = new Map<Value, Value>()
  for (const value of [...variant.graph.inputs, ...variant.graph.initializers]) {
    const original = known.get(value.name)
    if (original && original.constant === value.constant) same.set(value, cloner.read(original))
  }
  for (const node of variant.graph.nodes) {
    const original = nodes.get(node.name)
    if (!original || !readsTheSame(node, original, same, cloner)) continue
    node.outputs.forEach((value, i) => {
      const made = original.outputs[i]
      if (value && made) same.set(value, cloner.read(made))
    })
  }
  return same
}

function readsTheSame(node: Node, original: Node, same: ReadonlyMap<Value, Value>, cloner: Cloner): boolean {
  const inputs = node.inputs.every((value, i) => {
    const other = original.inputs[i]
    return value && other ? same.get(value) === cloner.read(other) : !value && !other
  })
  return inputs && node.opType === original.opType && [...dependencies(node)].every((value) => same.has(value))
}
