import type { QuantParams } from '../quant/index.ts'
import { aimetHolds, isSymmetric, offsets } from './aimet-encoding.ts'
import { complete } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { type Json, jsonFile, reals } from './text.ts'

/** AIMET's encodings, version 1.0.0: lists of encodings that carry their tensor's name (docs/exporters/aimet.md). */
export const aimet100: Exporter = {
  name: 'aimet-1.0.0',
  summary: 'QNN/AIMET encodings JSON, version 1.0.0',
  check: (cx) => complete(cx, { holds: aimetHolds, oneForm: true }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.encodings.json`, encodings(cx))],
}

function encodings(cx: ExportContext): Json {
  return {
    version: '1.0.0',
    activation_encodings: [...activationEncodings(cx)].map(encoding),
    param_encodings: constantEncodings(cx, 'weight', 'bias').map(encoding),
  }
}

const encoding = ([name, params]: [string, QuantParams]): Json => ({
  name,
  enc_type: `PER_${params.spec.granularity.kind.toUpperCase()}`,
  dtype: 'INT',
  bw: params.spec.bits,
  is_sym: isSymmetric(params),
  scale: reals(params.scale),
  offset: offsets(params),
})
