import { type Model, Node, Tensor, UniqueNames, Value } from '../ir/index.ts'
import { RuleContext } from '../passes/index.ts'
import { must } from '../util/index.ts'
import type { FloatAlgorithm } from './algorithm.ts'
import { largestMagnitude, setConstant } from './channels/index.ts'
import { type WeightedLayer, weightedLayer } from './splitting/split-layer.ts'

export interface WeightSplitOptions {
  readonly threshold: number
}

/**
 * Splits a layer whose weights have outliers into the sum of two:
 *
 *     W = W₁ + W₂,   W₁ = clamp(W, ±m/2),   m = max|W|,
 *
 * so that the scale of W₁ is half as large and the few weights beyond m/2 leave their rest to W₂, which is zero elsewhere. Costs a second
 * layer and an Add.
 */
export const weightSplit: FloatAlgorithm<WeightSplitOptions> = {
  name: 'weight-split',
  stage: 'float',
  title: 'Weight split',
  summary: 'turns layers with outlier weights into the sum of two layers with half the range',
  source: 'PPQ, HorizontalLayerSplitPass',
  options: {
    threshold: {
      summary: 'splits layers whose largest weight exceeds this many root mean squares of their weights',
      default: 16,
      least: 1,
    },
  },
  needsData: false,
  preserves: 1e-4,
  async apply({ model, ops }, { threshold }) {
    const cx = new RuleContext(model, ops)
    const layers = [...model.graph.nodes].flatMap((node) => weightedLayer(node, cx) ?? [])
    const chosen = layers.filter(({ weight }) => largestMagnitude(weight) > threshold * rootMeanSquare(weight))
    for (const layer of chosen) splitLayer(layer, model, cx)
    return { changed: chosen.map(({ node }) => node.name), details: { layers: layers.length, split: chosen.length } }
  },
}

function rootMeanSquare(tensor: Tensor): number {
  let squares = 0
  for (const w of tensor.numbers()) squares += w * w
  return Math.sqrt(squares / tensor.size)
}

/** The first half stays in the layer's node; the sum takes over the name of its output. */
function splitLayer({ node, weight }: WeightedLayer, { graph }: Model, cx: RuleContext): void {
  const half = largestMagnitude(weight) / 2
  const values = Float64Array.from(weight.numbers())
  const near = values.map((w) => Math.min(half, Math.max(-half, w)))
  const part = (list: Float64Array) => Tensor.fromNumbers(weight.dtype, weight.dims, list)
  setConstant(node, 1, part(near), cx)
  const names = new UniqueNames(graph)
  const result = must(node.outputs[0], 'output')
  const name = must(node.inputs[1], 'weight').name
  const rest = graph.addInitializer(names.value(`${name}_rest`), part(values.map((w, i) => w - (near[i] as number))))
  const [first, second] = ['near', 'rest'].map((kind) => new Value(names.value(`${result.name}_${kind}`), result.type))
  node.setOutput(0, null)
  node.setOutput(0, first as Value)
  const { opType, attributes, inputs } = node
  const twin = new Node({
    opType,
    attributes,
    name: names.node(`${node.name}_rest`),
    inputs: [must(inputs[0], 'input'), rest],
  })
  twin.setOutput(0, second as Value)
  graph.add(twin, { after: node })
  const sum = new Node({
    opType: 'Add',
    name: names.node(`${node.name}_sum`),
    inputs: [first as Value, second as Value],
  })
  sum.setOutput(0, result)
  graph.add(sum, { after: twin })
}
