import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { planned, tableEncodings } from './encodings.ts'
import { snappedModel } from './float-model.ts'
import {
  activations,
  bits,
  derivable,
  every,
  fullRange,
  integers,
  named,
  noGroups,
  perTensor,
  signedSymmetric,
  weights,
} from './holds.ts'
import { float32Text, textFile } from './text.ts'

/**
 * Tengine's calibration table: `tensor scale zero_point` for every activation. A tensor without a line gets scale 0, so that
 * tensors before an absorbed Relu, and behind nodes that move codes, have one as well (docs/exporters/tengine.md).
 */
export const tengine: Exporter = {
  name: 'tengine',
  summary: 'Tengine .scale table, for quant_tool_uint8 and quant_tool_int8',
  check: (cx) =>
    complete(cx, {
      holds: every(integers, activations(perTensor, bits(8), fullRange, named(/\s/, 'spaces')), toolChoice(cx)),
      oneForm: true,
    }),
  emit(cx) {
    const lines = [...tableEncodings(cx)].map(([value, { scale, zeroPoint }]) => {
      return `${value} ${float32Text(scale[0] as number)} ${zeroPoint[0]}`
    })
    return [snappedModel(cx), textFile(`${cx.name}.scale`, lines.map((line) => `${line}\n`).join(''))]
  },
}

/**
 * There are two tools, and each derives the scales of weights from the weights: one with uint8 affine activations and weights per
 * tensor, one with int8 symmetric activations and weights per channel.
 */
function toolChoice(cx: ExportContext): Holds {
  const isUnsigned = planned(cx, 'activation').some(({ params }) => !params.spec.signed)
  const unsigned: Holds = (_, { spec }) =>
    !spec.signed || 'its uint8 tool has unsigned codes for activations and weights alike'
  return isUnsigned
    ? every(activations(unsigned), weights(unsigned, perTensor, bits(8), fullRange))
    : every(activations(signedSymmetric), weights(signedSymmetric, noGroups, bits(8), derivable))
}
