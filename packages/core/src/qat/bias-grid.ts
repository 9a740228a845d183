import { type Graph, GraphBuilder, type Node, Tensor, type Value } from '../ir/index.ts'
import type { NodeSink } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { QatContext } from './context.ts'
import { type Grids, hasScale } from './grids.ts'
import type { BiasRecord, NormRecord, QFloatRecord, State } from './record.ts'

/**
 * Biases that the deployed network stores as codes of scale(input) · scale(weight), where fake-quantizers have both scales.
 * @param separate normalizations that are not folded in the graph: biases of their layers are others when they are deployed.
 */
export function biasRecords(
  { plan, quantizers }: Pick<QFloatRecord, 'plan' | 'quantizers'>,
  separate: readonly NormRecord[],
  state: State,
  cx: QatContext,
): BiasRecord[] {
  const other = new Set(separate.map(({ deployedBias }) => deployedBias))
  const scaled = new Set(quantizers.filter((q) => q.enabled && hasScale(q, state, cx)).map(({ group }) => group))
  return plan.tensors.flatMap(({ source, value, readers }): BiasRecord[] => {
    if (source.kind !== 'bias' || other.has(value)) return []
    const { input, weight } = source
    return scaled.has(input) && scaled.has(weight) ? readers.map((layer) => ({ layer, value, input, weight })) : []
  })
}

/** Writes the rounding of biases: R(b / (s_x · s_w)) · (s_x · s_w), half to even in float32, as `quantize` does. */
export function writeBiasGrids(graph: Graph, biases: readonly BiasRecord[], grids: Grids): void {
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  for (const { layer: name, input, weight } of biases) {
    const layer = must(nodes.get(name), `layer "${name}"`)
    const bias = layer.inputs[2]
    if (bias) layer.setInput(2, rounded(bias, grids.scale(input), grids.scale(weight), sinkBefore(layer)))
  }
}

function sinkBefore(layer: Node): NodeSink {
  const builder = new GraphBuilder(must(layer.graph, 'graph of the layer'), { before: layer })
  const named = (name: string) => `${layer.name}_bias_${name}`
  return {
    op: (type, inputs, attributes) => builder.op(type, inputs, attributes, { name: named(type), output: named(type) }),
    constant: (name, tensor) => builder.constant(named(name), tensor),
  }
}

function rounded(bias: Value, input: Value, weight: Value, sink: NodeSink): Value {
  const flat = sink.op('Reshape', [weight, sink.constant('flat', Tensor.int64([1], [-1]))])
  const step = sink.op('Mul', [input, flat])
  return sink.op('Mul', [sink.op('Round', [sink.op('Div', [bias, step])]), step])
}

/** Takes them out again, where BatchNormalization does not put another bias in their place. */
export function removeBiasGrids(graph: Graph, biases: readonly BiasRecord[]): void {
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  for (const { layer } of biases) {
    const node = must(nodes.get(layer), `layer "${layer}"`)
    // rounded ← Mul(Round(Div(bias, step)), step)
    const bias = node.inputs[2]?.producer?.inputs[0]?.producer?.inputs[0]?.producer?.inputs[0]
    node.setInput(2, must(bias, `bias of "${layer}"`))
  }
}
