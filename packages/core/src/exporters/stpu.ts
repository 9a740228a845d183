import type { Node } from '../ir/index.ts'
import type { QuantParams } from '../quant/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { tableEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { activations, bits, every, integers, perTensor, signedSymmetric, weights } from './holds.ts'
import { type Layer, weightedLayers } from './layers.ts'
import { type Json, jsonFile, real } from './text.ts'

/** MQBench's range file for STPU: tensors by name, weights and biases by their node (docs/exporters/stpu.md). */
export const stpu: Exporter = {
  name: 'stpu',
  summary: 'STPU ranges JSON, in the layout of MQBench',
  check: (cx) =>
    complete(cx, {
      holds: every(integers, of8(), standsAtLayer(cx)),
      oneForm: true,
    }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.stpu-minmax.json`, new Map(entries(cx)))],
}

const of8 = (): Holds =>
  every(activations(perTensor, bits(8), signedSymmetric), weights(perTensor, bits(8), signedSymmetric))

function standsAtLayer(cx: ExportContext): Holds {
  const layers = weightedLayers(cx)
  return weights(
    ({ value }) =>
      layers.some(({ weight }) => weight.tensor.value === value) || 'it holds weights of layers only, by their node',
  )
}

function* entries(cx: ExportContext): Generator<[string, Json]> {
  const encoded = tableEncodings(cx)
  const layers = new Map(weightedLayers(cx).map((layer) => [layer.node, layer]))
  const emin = new Map([...cx.model.graph.nodes].flatMap((node) => eminOf(node, layers.get(node), encoded)))
  for (const [name, params] of encoded) yield [name, range(params, emin.get(name))]
  for (const { node, input, weight } of layers.values()) {
    yield [`${node.name}_weights`, range(weight.params)]
    const hasBias = node.inputs[2] !== null && node.inputs[2] !== undefined
    if (hasBias && input)
      yield [`${node.name}_bias`, { alpha: real(stepOf(input) * stepOf(weight.params)), zero_point: 0 }]
  }
}

const stepOf = ({ scale }: QuantParams): number => scale[0] as number

const range = (params: QuantParams, emin?: number): Json => ({
  min: real(-127 * stepOf(params)),
  max: real(127 * stepOf(params)),
  emin,
})

/**
 * Smallest exponent of the accumulator's block, from the largest one that its sum can have (MQBench, `update_emin`): √n products
 * of the largest input and weight for a convolution of n summands.
 */
function eminOf(node: Node, layer: Layer | undefined, encoded: ReadonlyMap<string, QuantParams>): [string, number][] {
  const output = node.outputs[0]?.name ?? ''
  const result = encoded.get(output)
  if (!result) return []
  if (node.opType === 'Gemm') return [[output, 128]]
  if (node.opType === 'Resize' || node.opType === 'Upsample') return [[output, exponentOf(127 * stepOf(result)) - 20]]
  if (!node.opType.startsWith('Conv') || !layer?.input) return []
  const [, ...kernel] = node.inputs[1]?.constant?.dims ?? []
  const summands = kernel.reduce((n, d) => n * d, 1)
  const sum = Math.sqrt(summands) * 127 * stepOf(layer.input) * 127 * stepOf(layer.weight.params)
  return [[output, exponentOf(Math.max(sum, 127 * stepOf(result))) - 10]]
}

/** The biased exponent of a positive float32, 1 … 254. */
const exponentOf = (x: number): number => Math.min(Math.max(Math.floor(Math.log2(x)) + 127, 1), 254)
