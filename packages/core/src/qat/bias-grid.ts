import { deployedScale, POWER_OF_TWO_OP, sizeOfScale } from '../fake-quantizers/index.ts'
import { type Graph, GraphBuilder, type Node, Tensor, type Value, valuesByName } from '../ir/index.ts'
import type { NodeSink } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { batchNormStrategy } from './batch-norm/index.ts'
import type { QatContext } from './context.ts'
import { chosen } from './init-quantizers.ts'
import type { BiasRecord, QFloatRecord, QuantizerRecord, State } from './record.ts'
import { stateOfInputs } from './state.ts'

/**
 * Biases that the deployed network stores as codes of scale(input) · scale(weight), where fake-quantizers have both scales. A bias of a layer
 * whose BatchNormalization is not folded in the graph is another one when it is deployed.
 */
export function biasRecords(
  { plan, norms, quantizers, batchNorm }: Omit<QFloatRecord, 'biases'>,
  state: State,
  cx: QatContext,
): BiasRecord[] {
  const isSeparate = batchNormStrategy(batchNorm).kind === 'separate'
  const other = new Set(isSeparate ? norms.map(({ deployedBias }) => deployedBias) : [])
  const scaled = new Set(quantizers.filter((q) => q.enabled && hasScale(q, state, cx)).map(({ group }) => group))
  return plan.tensors.flatMap(({ source, value, readers }): BiasRecord[] => {
    if (source.kind !== 'bias' || other.has(value)) return []
    const { input, weight } = source
    return scaled.has(input) && scaled.has(weight) ? readers.map((layer) => ({ layer, value, input, weight })) : []
  })
}

/** Whether its scale can be written: by itself, or because it is the magnitude of an input. */
function hasScale({ inputs, spec, quantizer }: QuantizerRecord, state: State, cx: QatContext): boolean {
  const { quantizer: rule, options } = chosen(quantizer, cx)
  if (rule.writeScale) return true
  const own = stateOfInputs(inputs, state)
  const values = own.scale?.numbers()
  const { scale } = rule.toParams(spec, own, options)
  return values?.length === scale.length && scale.every((s, i) => s === deployedScale(values[i] as number))
}

/** Writes the rounding of biases: R(b / (s_x · s_w)) · (s_x · s_w), half to even in float32, as `quantize` does. */
export function writeBiasGrids(graph: Graph, { biases, quantizers }: QFloatRecord, cx: QatContext): void {
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  const values = valuesByName(graph)
  const records = new Map(quantizers.map((record) => [record.group, record]))
  for (const { layer: name, input, weight } of biases) {
    const layer = must(nodes.get(name), `layer "${name}"`)
    const bias = layer.inputs[2]
    if (!bias) continue
    const sink = sinkBefore(layer)
    const [x, w] = [input, weight].map((group) =>
      scaleOf(must(records.get(group), `fake-quantizer of "${group}"`), values, sink, cx),
    ) as [Value, Value]
    layer.setInput(2, rounded(bias, x, w, sink))
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

function scaleOf(
  { inputs, spec, quantizer }: QuantizerRecord,
  values: ReadonlyMap<string, Value>,
  sink: NodeSink,
  cx: QatContext,
): Value {
  const { quantizer: rule, options } = chosen(quantizer, cx)
  const own = Object.fromEntries(
    inputs.map(({ name, initializer, powerOfTwo }) => {
      const parameter = must(values.get(initializer), `parameter "${initializer}"`)
      return [name, powerOfTwo === undefined ? parameter : roundedIn(parameter)]
    }),
  )
  return rule.writeScale?.(sink, own, spec, options) ?? sizeOfScale(sink, must(own.scale, 'scale'))
}

/** What fake-quantizers read in the place of a parameter that is rounded to powers of two. */
function roundedIn(parameter: Value): Value {
  const [use] = parameter.uses().filter(({ node }) => node.opType === POWER_OF_TWO_OP.type)
  return must(use?.node.outputs[0], `rounding of "${parameter.name}"`)
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
