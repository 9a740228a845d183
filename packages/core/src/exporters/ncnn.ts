import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { snappedModel } from './float-model.ts'
import { activations, bits, every, integers, noGroups, perTensor, signedSymmetric, weights } from './holds.ts'
import { groupsOf, inputsOfLayers, type Layer, scalesOfChannels, weightedLayers } from './layers.ts'
import { float32Text, textFile } from './text.ts'

/** What becomes Convolution, ConvolutionDepthWise or InnerProduct: the layers that ncnn2int8 reads scales for. */
const TYPES = ['Conv', 'Gemm', 'MatMul']

/**
 * ncnn's table for ncnn2int8: a line with the weight scales of each layer, then a line with the scale of its input. ncnn's scales
 * are steps per unit, 127 / absmax, the reciprocals of ours (docs/exporters/ncnn.md).
 */
export const ncnn: Exporter = {
  name: 'ncnn',
  summary: 'ncnn calibration table, for ncnn2int8',
  check: (cx) =>
    complete(cx, {
      holds: every(
        integers,
        activations(perTensor, bits(8), signedSymmetric),
        weights(noGroups, bits(2, 3, 4, 5, 6, 7, 8), signedSymmetric),
        inputsOfLayers(cx, TYPES),
        fitsGroups(cx),
        readableNames(cx),
      ),
    }),
  emit(cx) {
    const layers = weightedLayers(cx)
    const weightLines = layers.map((layer) => line(`${layer.node.name}_param_0`, weightScales(layer)))
    const inputLines = layers.flatMap(({ node, input }) => (input ? [line(node.name, input.scale)] : []))
    return [snappedModel(cx), textFile(`${cx.name}.table`, `${[...weightLines, ...inputLines].join('\n')}\n`)]
  },
}

const line = (key: string, scales: readonly number[]): string =>
  [key, ...scales.map((scale) => float32Text(Math.fround(1 / scale)))].join(' ')

/**
 * One scale for each output channel, which the layer's loader expects; one for each group of a grouped convolution
 * (ncnn2int8, quantize_convolutiondepthwise).
 */
function weightScales(layer: Layer): readonly number[] {
  const { scale } = layer.weight.params
  const groups = groupsOf(layer.node)
  if (groups === 1) return scalesOfChannels(layer)
  return Array.from({ length: groups }, (_, g) => scale[(g * scale.length) / groups] ?? (scale[0] as number))
}

/** PPQ takes the largest scale of a group, and the layer then differs from what was simulated. */
function fitsGroups(cx: ExportContext): Holds {
  const unequal = weightedLayers(cx).filter((layer) => {
    const { scale } = layer.weight.params
    const size = scale.length / groupsOf(layer.node)
    return groupsOf(layer.node) > 1 && scale.some((s, c) => s !== scale[c - (c % size)])
  })
  return ({ value }) =>
    !unequal.some(({ weight }) => weight.tensor.value === value) ||
    'it has one scale for each group of a grouped convolution; quantize this one per tensor'
}

/** The reader cuts keys at spaces and after 255 bytes, and takes `_param_` for the mark of weights. */
function readableNames(cx: ExportContext): Holds {
  const unreadable = weightedLayers(cx).filter(({ node }) => /\s|_param_/.test(node.name) || node.name.length > 240)
  return ({ readers }) =>
    !unreadable.some(({ node }) => readers.includes(node.name)) ||
    'names of nodes with spaces or "_param_", or of more than 240 characters, break its lines'
}
