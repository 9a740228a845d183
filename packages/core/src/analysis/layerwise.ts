import { cloneModel, type Model, type Tensor, valuesByName } from '../ir/index.ts'
import { materialize, type ParamsTable, type QuantForm, type QuantPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { partOfPlan, type QuantLayer, type QuantParts, quantLayers } from './quant-layers.ts'
import type { OutputMetrics } from './report-layer-schema.ts'
import { type VariantOptions, variantErrors } from './variant-errors.ts'

/** A network with the way in which it is quantized. */
export interface QuantizedNetwork {
  /** The float network that the plan speaks of. */
  readonly float: Model
  /** The same network with constants as the quantized one has them, before or after rounding: algorithms may have changed them. */
  readonly adjusted: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly form: QuantForm
}

/** Error of the network's outputs with one layer quantized and everything else in float. */
export interface LayerwiseError {
  readonly layer: QuantLayer
  readonly isolated: OutputMetrics
  readonly weightsOnly?: OutputMetrics
  readonly activationsOnly?: OutputMetrics
}

export interface LayerwiseOptions extends VariantOptions {
  /** Also with only the layer's weights quantized, and only what it reads and makes: three times the work. */
  readonly split?: boolean
  /** Of these layers only. */
  readonly layers?: readonly QuantLayer[]
}

/**
 * Layerwise error: what each layer does to the outputs by itself. Layers share the float network before them, so that one costs only
 * the network behind it.
 */
export async function layerwiseError(network: QuantizedNetwork, options: LayerwiseOptions): Promise<LayerwiseError[]> {
  const layers = options.layers ?? quantLayers(network.float, network.plan, options.ops)
  const variants = (parts: QuantParts) => layers.map((layer) => () => variantOf(network, parts, layer))
  const total = layers.length * (options.split ? 3 : 1)
  const reporting = (before: number, o: VariantOptions): VariantOptions => ({
    ...o,
    onProgress: (done) => options.onProgress?.(before + done, total),
  })
  const isolated = await variantErrors(network.float, variants('all'), reporting(0, options))
  if (!options.split) return layers.map((layer, i) => ({ layer, isolated: must(isolated[i], 'error').all }))
  const halves = [...variants('weights'), ...variants('activations')]
  const split = await variantErrors(network.float, halves, reporting(layers.length, inFloat(options)))
  return layers.map((layer, i) => ({
    layer,
    isolated: must(isolated[i], 'error').all,
    weightsOnly: must(split[i], 'error').all,
    activationsOnly: must(split[layers.length + i], 'error').all,
  }))
}

/** Error of the outputs with everything quantized, with weights and biases only, and with activations only. */
export async function partsError(network: QuantizedNetwork, options: VariantOptions) {
  const of = (parts: QuantParts) => () => variantOf(network, parts)
  const [whole] = await variantErrors(network.float, [of('all')], options)
  const [weights, activations] = await variantErrors(
    network.float,
    [of('weights'), of('activations')],
    inFloat(options),
  )
  return {
    whole: must(whole, 'error'),
    weightsOnly: must(weights, 'error').all,
    activationsOnly: must(activations, 'error').all,
  }
}

/**
 * Half a quantized layer computes in float. ONNX Runtime would quantize the float weights of a layer whose input and output are
 * quantized by itself (its WeightBiasQuantization, one int8 scale for all channels), unless it leaves quantizers alone.
 */
const inFloat = (options: VariantOptions): VariantOptions => ({
  ...options,
  load: { ...options.load, optimization: 'simulate' },
})

/** The network with some of it quantized: parts of one layer or of all. A copy that shares tensors with the float network. */
export function variantOf(network: QuantizedNetwork, parts: QuantParts, layer?: QuantLayer): Model {
  const { float, adjusted, plan, params, form } = network
  const copy = cloneModel(float)
  if (parts !== 'activations') takeConstants(copy, adjusted, layer)
  return materialize(copy, partOfPlan(plan, parts, layer), params, { form })
}

/** Constants that the layer reads, or all, as the other network has them. */
function takeConstants(copy: Model, from: Model, layer: QuantLayer | undefined): void {
  const known = valuesByName(from.graph)
  for (const node of copy.graph.nodes) {
    if (layer && !layer.nodes.has(node.name)) continue
    for (const value of node.inputs) {
      const constant: Tensor | null | undefined = value && known.get(value.name)?.constant
      if (value?.constant && constant) value.constant = constant
    }
  }
}
