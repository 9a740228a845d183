import { asTensor, attribute, type Graph, type Model, Node, Tensor, UniqueNames, type Use, Value } from '../ir/index.ts'
import { must } from '../util/index.ts'

/** Layers whose float weights ONNX Runtime quantizes. */
const LAYERS: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm'])
/** What it moves quantizers across, from the data to the layer (qdq_propagation.cc). */
const MOVERS: ReadonlySet<string> = new Set([
  'MaxPool',
  'Reshape',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Slice',
])

/**
 * Keeps layers in float that were left in float, in place. ONNX Runtime quantizes the weights of a layer between quantizers by itself
 * (weight_bias_quantization.cc), with one int8 scale for all channels: worse than the planner would have done, and where the planner chose float
 * for accuracy, the opposite of what was asked for. It does so behind one scale for all data only; so such a layer reads a DequantizeLinear of
 * its own that says the same scale once for each channel.
 */
export function holdFloatLayers(model: Model): void {
  const { graph } = model
  const held = new Map<Value, Value>()
  for (const node of [...graph.nodes]) {
    const use =
      LAYERS.has(node.qualifiedType) && node.inputs[1]?.constant && meetsQuantizer(node) ? source(node) : undefined
    const producer = use && must(use.node.inputs[use.index], 'data').producer
    if (!use || !producer) continue
    const data = must(producer.outputs[0], 'data')
    const real = held.get(data) ?? perChannel(graph, producer)
    if (!real) continue
    held.set(data, real)
    use.node.setInput(use.index, real)
  }
  for (const { producer } of held.keys()) {
    if (producer && producer.outputs[0]?.useCount === 0 && !graph.isOutput(producer.outputs[0])) graph.remove(producer)
  }
}

/** Whether all that the layer makes goes to one QuantizeLinear, at most through Relu or Clip. */
function meetsQuantizer({ outputs }: Node): boolean {
  const uses = outputs[0]?.uses() ?? []
  const next = uses[0]?.node
  if (uses.length !== 1 || !next) return false
  if (next.opType === 'QuantizeLinear') return true
  return (next.opType === 'Relu' || next.opType === 'Clip') && meetsQuantizer(next)
}

/** Where the layer's data leave a DequantizeLinear with one scale. */
function source(node: Node): Use | undefined {
  const producer = node.inputs[0]?.producer
  if (!producer) return undefined
  if (producer.opType === 'DequantizeLinear') {
    return producer.inputs[1]?.constant?.size === 1 ? { node, index: 0 } : undefined
  }
  return MOVERS.has(producer.qualifiedType) ? source(producer) : undefined
}

/** The same numbers from the same codes. Nothing where the number of channels is open. */
function perChannel(graph: Graph, { inputs: [codes, scale, zeroPoint], outputs, name }: Node): Value | undefined {
  const output = must(outputs[0], 'real values')
  const channels = asTensor(output.type)?.shape?.[1]
  if (!codes || typeof channels !== 'number') return undefined
  const names = new UniqueNames(graph)
  const repeated = (value: Value): Value => {
    const constant = must(value.constant, value.name)
    const numbers = new Array<number>(channels).fill(Number(constant.numbers()[0]))
    return graph.addInitializer(
      names.value(`${value.name}_held`),
      Tensor.fromNumbers(constant.dtype, [channels], numbers),
    )
  }
  const real = new Value(names.value(`${output.name}_held`), output.type)
  const parameters = [scale, zeroPoint].flatMap((value) => (value ? [repeated(value)] : []))
  const node = new Node({
    opType: 'DequantizeLinear',
    name: names.node(`${name}_held`),
    inputs: [codes, ...parameters],
    outputs: [real],
    attributes: [['axis', attribute.int(1)]],
  })
  graph.add(node, codes.producer ? { after: codes.producer } : {})
  return real
}
