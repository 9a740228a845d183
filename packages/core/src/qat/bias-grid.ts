import { type Graph, GraphBuilder, type Node, Tensor, type Value, valuesByName } from '../ir/index.ts'
import { MIN_SCALE, type QuantPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { batchNormStrategy } from './batch-norm/index.ts'
import type { QatContext } from './context.ts'
import { chosen } from './init-quantizers.ts'
import type { BiasRecord, NormRecord, QuantizerRecord, State } from './record.ts'
import { stateOfInputs } from './state.ts'

export interface BiasFacts {
  readonly plan: QuantPlan
  readonly norms: readonly NormRecord[]
  readonly quantizers: readonly QuantizerRecord[]
  readonly batchNorm: string
}

/**
 * Biases that the deployed network stores as codes of scale(input) · scale(weight), where both scales are initializers. A bias of a layer
 * whose BatchNormalization is not folded in the graph is another one when it is deployed.
 */
export function biasRecords(
  { plan, norms, quantizers, batchNorm }: BiasFacts,
  state: State,
  cx: QatContext,
): BiasRecord[] {
  const isSeparate = batchNormStrategy(batchNorm).kind === 'separate'
  const other = new Set(isSeparate ? norms.map(({ deployedBias }) => deployedBias) : [])
  const scales = new Map(quantizers.flatMap((q) => (q.enabled ? scaleOf(q, state, cx) : [])))
  return plan.tensors.flatMap(({ source, value, readers }): BiasRecord[] => {
    if (source.kind !== 'bias' || other.has(value)) return []
    const [input, weight] = [scales.get(source.input), scales.get(source.weight)]
    return input && weight ? readers.map((layer) => ({ layer, value, input, weight })) : []
  })
}

/** The initializer whose magnitudes are the scales that are deployed, if there is one. */
function scaleOf(
  { group, inputs, spec, quantizer }: QuantizerRecord,
  state: State,
  cx: QatContext,
): [string, string][] {
  const input = inputs.find(({ name }) => name === 'scale')
  const values = input && state.get(input.initializer)?.numbers()
  if (!input || !values) return []
  const { quantizer: rule, options } = chosen(quantizer, cx)
  const { scale } = rule.toParams(spec, stateOfInputs(inputs, state), options)
  const isIt = scale.length === values.length && scale.every((s, i) => s === Math.abs(values[i] as number))
  return isIt ? [[group, input.initializer]] : []
}

/** Writes the rounding of biases: R(b / (s_x · s_w)) · (s_x · s_w), half to even in float32, as `quantize` does. */
export function writeBiasGrids(graph: Graph, biases: readonly BiasRecord[]): void {
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  const values = valuesByName(graph)
  for (const record of biases) {
    const layer = must(nodes.get(record.layer), `layer "${record.layer}"`)
    const bias = layer.inputs[2]
    const [input, weight] = [record.input, record.weight].map((name) => must(values.get(name), `scale "${name}"`))
    if (bias && input && weight) layer.setInput(2, rounded(layer, bias, input, weight))
  }
}

function rounded(layer: Node, bias: Value, input: Value, weight: Value): Value {
  const builder = new GraphBuilder(must(layer.graph, 'graph of the layer'), { before: layer })
  const op = (type: string, inputs: readonly Value[], name: string) => {
    const base = `${layer.name}_bias_${name}`
    return builder.op(type, inputs, {}, { name: base, output: base })
  }
  const least = builder.constant(`${layer.name}_bias_least`, Tensor.float32([], [MIN_SCALE]))
  const size = (scale: Value, name: string) => op('Max', [op('Abs', [scale], `${name}_size`), least], `${name}_scale`)
  const flat = op(
    'Reshape',
    [weight, builder.constant(`${layer.name}_bias_flat`, Tensor.int64([1], [-1]))],
    'weight_scales',
  )
  const step = op('Mul', [size(input, 'input'), size(flat, 'weight')], 'step')
  const codes = op('Round', [op('Div', [bias, step], 'steps')], 'codes')
  return op('Mul', [codes, step], 'rounded')
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
