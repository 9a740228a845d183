import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'
import { snappedModel } from './float-model.ts'
import { trtHolds, trtScales } from './tensorrt-cache.ts'
import { jsonFile, real } from './text.ts'

/**
 * Dynamic ranges for `ITensor::setDynamicRange`, in the two layouts that scripts read: PPQ's and MQBench's.
 *
 * TensorRT divides the range by 127 (calibration cache of sampleINT8: scale = |range| / 127), so that the range is 127 · scale
 * whichever codes are used. MQBench writes scale · max(−quantMin, quantMax), 128 · scale for −128…127, from which TensorRT makes
 * a scale that is 0.8 % too large.
 */
export const tensorrtRanges: Exporter = {
  name: 'tensorrt-ranges',
  summary: 'TensorRT dynamic ranges of tensors as JSON, in the layouts of PPQ and MQBench',
  check: (cx) => complete(cx, { holds: trtHolds(cx), oneForm: true }),
  emit(cx) {
    const ranges = new Map(trtScales(cx).map(([value, scale]) => [value, real(scale * 127)]))
    return [
      snappedModel(cx),
      jsonFile(`${cx.name}.ranges.json`, { act_quant_info: ranges }),
      jsonFile(`${cx.name}.clip-ranges.json`, { tensorrt: { blob_range: ranges } }),
    ]
  },
}
