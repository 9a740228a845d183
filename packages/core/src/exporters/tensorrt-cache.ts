import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { tableEncodings } from './encodings.ts'
import { snappedModel } from './float-model.ts'
import {
  activations,
  bits,
  derivable,
  every,
  integers,
  named,
  noGroups,
  perTensor,
  signedSymmetric,
  weights,
} from './holds.ts'
import { operands } from './layers.ts'
import { textFile } from './text.ts'

/**
 * TensorRT takes a cache for its own where calibrator and release agree with its first line. 8.6.1 is the last release before
 * implicit quantization was deprecated (10.1).
 */
const HEADER = 'TRT-8601-EntropyCalibration2'

/**
 * What implicit quantization of TensorRT can be told: one symmetric int8 scale for an activation, or for a constant that takes part
 * in codes; the scales of weights are its own affair.
 */
export function trtHolds(cx: ExportContext): Holds {
  const tensor = every(perTensor, bits(8), signedSymmetric)
  const weight = every(noGroups, bits(8), signedSymmetric, derivable)
  const taken = new Set(operands(cx).map((operand) => operand.tensor))
  return every(
    integers,
    activations(tensor),
    weights((t, params) => (taken.has(t) ? tensor(t, params) : weight(t, params))),
  )
}

/** Scales by tensor, of activations and of constants that take part in codes. */
export const trtScales = (cx: ExportContext): [string, number][] =>
  [...tableEncodings(cx), ...operands(cx).map(({ tensor, params }) => [tensor.value, params] as const)].map(
    ([value, { scale }]) => [value, scale[0] as number],
  )

/**
 * The cache that TensorRT's entropy calibrator would write: a scale for each tensor, as the bits of a float32, most significant
 * byte first (docs/exporters/tensorrt-cache.md).
 */
export const tensorrtCache: Exporter = {
  name: 'tensorrt-cache',
  summary: 'TensorRT calibration cache, for implicit quantization',
  check: (cx) =>
    complete(cx, { holds: every(trtHolds(cx), activations(named(/[\r\n]/, 'line breaks'))), oneForm: true }),
  emit(cx) {
    const lines = trtScales(cx).map(([value, scale]) => `${value}: ${float32Hex(scale)}`)
    return [snappedModel(cx), textFile(`${cx.name}.cache`, `${[HEADER, ...lines].join('\n')}\n`)]
  },
}

function float32Hex(x: number): string {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, x)
  return view.getUint32(0).toString(16).padStart(8, '0')
}
