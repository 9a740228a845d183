import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'
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
import { textFile } from './text.ts'

/**
 * TensorRT takes a cache for its own where calibrator and release agree with its first line. 8.6.1 is the last release before
 * implicit quantization was deprecated (10.1).
 */
const HEADER = 'TRT-8601-EntropyCalibration2'

/** What implicit quantization of TensorRT can be told: one symmetric int8 scale for an activation; weights are its own affair. */
export const trtHolds = every(
  integers,
  activations(perTensor, bits(8), signedSymmetric),
  weights(noGroups, bits(8), signedSymmetric, derivable),
)

/**
 * The cache that TensorRT's entropy calibrator would write: a scale for each tensor, as the bits of a float32, most significant
 * byte first (docs/exporters/tensorrt-cache.md).
 */
export const tensorrtCache: Exporter = {
  name: 'tensorrt-cache',
  summary: 'TensorRT calibration cache, for implicit quantization',
  check: (cx) => complete(cx, { holds: every(trtHolds, activations(named(/[\r\n]/, 'line breaks'))), oneForm: true }),
  emit(cx) {
    const lines = [...tableEncodings(cx)].map(([value, params]) => `${value}: ${float32Hex(params.scale[0] as number)}`)
    return [snappedModel(cx), textFile(`${cx.name}.cache`, `${[HEADER, ...lines].join('\n')}\n`)]
  },
}

function float32Hex(x: number): string {
  const view = new DataView(new ArrayBuffer(4))
  view.setFloat32(0, x)
  return view.getUint32(0).toString(16).padStart(8, '0')
}
