import type { QuantParams } from '../quant/index.ts'
import { aimetHolds, legacyEncodings } from './aimet-encoding.ts'
import { complete } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { type Json, jsonFile } from './text.ts'

/** AIMET's encodings, version 0.6.1, which QNN's and QAIRT's converters read (docs/exporters/aimet.md). */
export const aimet061: Exporter = {
  name: 'aimet-0.6.1',
  summary: 'QNN/AIMET encodings JSON, version 0.6.1',
  check: (cx) => complete(cx, { holds: aimetHolds, oneForm: true }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.encodings.json`, encodings(cx))],
}

const encodings = (cx: ExportContext): Json => ({
  version: '0.6.1',
  activation_encodings: byName(activationEncodings(cx)),
  param_encodings: byName(constantEncodings(cx, 'weight', 'bias')),
})

const byName = (encodings: Iterable<readonly [string, QuantParams]>): Json =>
  new Map([...encodings].map(([name, params]) => [name, legacyEncodings(params)]))
