import type { QuantParams } from '../quant/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import {
  activations,
  bits,
  every,
  fullRange,
  integers,
  noGroups,
  perTensor,
  signedSymmetric,
  weights,
} from './holds.ts'
import { inputsOfLayers, nodesInCodes, weightedLayers } from './layers.ts'
import { float32Text, textFile } from './text.ts'

const WEIGHTED = ['Conv', 'ConvTranspose', 'Gemm', 'MatMul']
const POOLS = ['AveragePool']

/**
 * AMCT's record of quantization factors, a `ScaleOffsetRecord` in protobuf's text format: for each layer the scale and offset of
 * its input and the scales of its weight (docs/exporters/ascend.md). PPQ adds channels, height and width, which the schema of
 * AMCT for ONNX does not have, so that its parser would refuse them.
 */
export const ascend: Exporter = {
  name: 'ascend',
  summary: 'Ascend AMCT quantization factor record, as protobuf text',
  check: (cx) =>
    complete(cx, {
      holds: every(
        integers,
        activations(perTensor, bits(8), fullRange),
        weights(noGroups, bits(8), signedSymmetric),
        inputsOfLayers(cx, WEIGHTED, POOLS),
        channelWise(cx),
      ),
    }),
  emit: (cx) => [floatModel(cx), textFile(`${cx.name}.record.txt`, records(cx).join(''))],
}

function records(cx: ExportContext): string[] {
  const encoded = activationEncodings(cx)
  const weighted = new Map(weightedLayers(cx).map((layer) => [layer.node, layer.weight.params]))
  const pools = new Set(nodesInCodes(cx, POOLS))
  return [...cx.model.graph.nodes].flatMap((node) => {
    const input = encoded.get(node.inputs[0]?.name ?? '')
    const weight = weighted.get(node)
    return input && (weight || pools.has(node)) ? [record(node.name, input, weight)] : []
  })
}

/** "Channel-wise quantization" is for convolutions (AMCT, record files). */
function channelWise(cx: ExportContext): Holds {
  const convolutions = new Set(
    weightedLayers(cx).flatMap(({ node, weight }) => (node.opType.startsWith('Conv') ? weight.tensor.value : [])),
  )
  return weights(
    ({ value }, { scale }) =>
      convolutions.has(value) || scale.length === 1 || 'it has a scale for each channel of convolutions only',
  )
}

function record(key: string, input: QuantParams, weight: QuantParams | undefined): string {
  const scales = weight?.scale ?? []
  const fields = [
    `scale_d: ${float32Text(input.scale[0] as number)}`,
    `offset_d: ${signedZero(input)}`,
    ...scales.map((scale) => `scale_w: ${float32Text(scale)}`),
    ...scales.map(() => 'offset_w: 0'),
  ]
  return [
    'record {',
    `  key: ${JSON.stringify(key)}`,
    '  value {',
    ...fields.map((f) => `    ${f}`),
    '  }',
    '}',
    '',
  ].join('\n')
}

/** The zero point among int8 codes, −128 … 127: Ascend computes in int8, 128 below the codes of uint8. */
const signedZero = ({ spec, zeroPoint }: QuantParams): number => (zeroPoint[0] as number) - (spec.signed ? 0 : 128)
