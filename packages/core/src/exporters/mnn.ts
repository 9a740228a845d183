import type { Node } from '../ir/index.ts'
import type { QuantParams } from '../quant/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings, planned } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { activations, bits, every, integers, noGroups, perTensor, signedSymmetric, weights } from './holds.ts'
import { fusedNodes, type Layer, resultsOf, scalesOfChannels, weightedLayers } from './layers.ts'
import { type Json, jsonFile, reals } from './text.ts'

type Named = readonly [name: string, params: QuantParams]

interface MnnLayer {
  readonly input: readonly Named[]
  readonly weight?: Layer
  readonly output: readonly Named[]
}

/** MNN's `_Round`, half away from zero. */
const ROUND_AWAY = `ROUND_AWAY_FROM_ZERO`

/**
 * `Compression.Pipeline` of MNN's converter as protobuf JSON, for `--compressionParamsFile` (docs/exporters/mnn.md). PPQ writes a
 * flat table of `<tensor> input_tensor_0` instead, which no tool of MNN reads.
 */
export const mnn: Exporter = {
  name: 'mnn',
  summary: 'MNN compression parameters JSON, for MNNConvert',
  check: (cx) =>
    complete(cx, {
      holds: every(
        integers,
        activations(perTensor, bits(8)),
        weights(noGroups, bits(2, 3, 4, 5, 6, 7, 8)),
        standsInLayer(cx),
      ),
      oneForm: true,
    }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.mnn.json`, pipeline(mnnLayers(cx)))],
}

/** Every node that reads codes and hands over codes; the converter looks a layer up by its first output. */
function mnnLayers(cx: ExportContext): MnnLayer[] {
  const encoded = activationEncodings(cx)
  const weighted = new Map(weightedLayers(cx).map((layer) => [layer.node, layer]))
  const fused = fusedNodes(cx)
  const operands = planned(cx, 'weight')
  const named = (name: string | undefined): Named[] => {
    const params = encoded.get(name ?? '')
    return name !== undefined && params ? [[name, params]] : []
  }
  const layerOf = (node: Node): MnnLayer => {
    const weight = weighted.get(node)
    const constants = operands.filter(
      ({ tensor }) => tensor.readers.includes(node.name) && tensor !== weight?.weight.tensor,
    )
    return {
      input: [
        ...node.inputs.flatMap((value) => named(value?.name)),
        ...constants.map(({ tensor, params }): Named => [tensor.value, params]),
      ],
      ...(weight ? { weight } : {}),
      output: resultsOf(node, fused).flatMap((value) => named(value.name)),
    }
  }
  const nodes = [...cx.model.graph.nodes].filter((node) => !fused.has(node.name))
  return nodes.map(layerOf).filter(({ input, output }) => input.length > 0 && output.length > 0)
}

function standsInLayer(cx: ExportContext): Holds {
  const layers = mnnLayers(cx)
  const told = new Set(
    layers.flatMap(({ input, weight, output }) => [
      ...[...input, ...output].map(([name]) => name),
      ...(weight ? [weight.weight.tensor.value] : []),
    ]),
  )
  return (tensor, params) => {
    if (tensor.role === 'bias' || tensor.role === 'fill') return true
    const isWeight = layers.some(({ weight }) => weight?.weight.tensor === tensor)
    const symmetric = isWeight ? signedSymmetric(tensor, params) : true
    if (symmetric !== true) return symmetric
    return told.has(tensor.value) || 'it holds layers whose inputs and results both have codes'
  }
}

const pipeline = (layers: readonly MnnLayer[]): Json => ({
  version: '0.0.0',
  algo: [{ type: 'QUANTIZE', quant_params: { round_mode: ROUND_AWAY, layer: layers.map(layerJson) } }],
})

const layerJson = ({ input, weight, output }: MnnLayer): Json => ({
  input: input.map(activationJson),
  weight: weight ? [weightJson(weight)] : [],
  output: output.map(activationJson),
  method: 'QAT',
})

/** MNN's codes are int8: 128 below those of uint8. */
function activationJson([name, { spec, scale, zeroPoint }]: Named): Json {
  const shift = spec.signed ? 0 : 2 ** (spec.bits - 1)
  return {
    name,
    bits: spec.bits,
    scales: reals(scale),
    zero_point: (zeroPoint[0] as number) - shift,
    clamp_min: spec.quantMin - shift,
    clamp_max: spec.quantMax - shift,
  }
}

/** A scale for each output channel: the converter asserts that there are as many as biases. */
function weightJson(layer: Layer): Json {
  const { tensor, params } = layer.weight
  const { bits, quantMin, quantMax } = params.spec
  return { name: tensor.value, bits, scales: reals(scalesOfChannels(layer)), clamp_min: quantMin, clamp_max: quantMax }
}
