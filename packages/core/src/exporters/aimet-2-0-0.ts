import { valuesByName } from '../ir/index.ts'
import { type QuantParams, storageDType } from '../quant/index.ts'
import { complete } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { activations, bits, every, fullRange, integers, weights } from './holds.ts'
import { type Json, jsonFile, real } from './text.ts'

/**
 * AIMET's encodings, version 2.0.0, whose fields are the inputs and attributes of ONNX QuantizeLinear; the one version with blocks
 * and axes (docs/exporters/aimet.md).
 */
export const aimet200: Exporter = {
  name: 'aimet-2.0.0',
  summary: 'QNN/AIMET encodings JSON, version 2.0.0',
  check: (cx) =>
    complete(cx, {
      holds: every(integers, activations(fullRange, bits(4, 8, 16)), weights(bits(2, 3, 4, 5, 6, 7, 8, 16))),
      oneForm: true,
    }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.encodings.json`, file(cx))],
}

function file(cx: ExportContext): Json {
  const values = valuesByName(cx.model.graph)
  const all = [...activationEncodings(cx), ...constantEncodings(cx, 'weight', 'bias')]
  const encodings = all.map(([name, params]) => encoding(name, params, values.get(name)?.constant?.dims ?? []))
  return { version: '2.0.0', encodings }
}

function encoding(name: string, params: QuantParams, dims: readonly number[]): Json {
  const { spec, scale, zeroPoint } = params
  const { granularity } = spec
  const shape = scaleShape(params, dims)
  return {
    name,
    output_dtype: storageDType(spec),
    y_scale: nested(scale.map(real), shape),
    y_zero_point: zeroPoint.some((z) => z !== 0) ? nested(zeroPoint, shape) : undefined,
    axis: granularity.kind === 'tensor' ? undefined : granularity.axis,
    block_size: granularity.kind === 'group' ? granularity.size : undefined,
  }
}

/** The shape of the scales: none, channels, or the weight's with blocks for elements along their axis. */
function scaleShape({ spec: { granularity }, scale }: QuantParams, dims: readonly number[]): readonly number[] {
  if (granularity.kind === 'tensor') return []
  if (granularity.kind === 'channel') return [scale.length]
  return dims.map((d, axis) => (axis === granularity.axis ? Math.ceil(d / granularity.size) : d))
}

/** Row-major numbers as nested lists of a shape. */
function nested(flat: readonly Json[], [length, ...inner]: readonly number[]): Json {
  if (length === undefined) return flat[0] as Json
  const size = flat.length / length
  return Array.from({ length }, (_, i) => nested(flat.slice(i * size, (i + 1) * size), inner))
}
