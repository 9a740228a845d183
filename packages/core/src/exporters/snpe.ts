import type { QuantParams } from '../quant/index.ts'
import { aimetHolds, legacyEncodings } from './aimet-encoding.ts'
import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { type Json, jsonFile } from './text.ts'

/**
 * Quantization overrides of SNPE's converters: ranges of activations and weights. Biases are left to the quantizer, which puts
 * them on the accumulator's grid. MQBench leaves `param_encodings` empty, so that SNPE chooses the weights' ranges anew.
 */
export const snpe: Exporter = {
  name: 'snpe',
  summary: 'SNPE quantization overrides JSON',
  check: (cx) => complete(cx, { holds: aimetHolds, oneForm: true }),
  emit(cx) {
    const activation_encodings = overrides(activationEncodings(cx))
    const param_encodings = overrides(constantEncodings(cx, 'weight'))
    return [floatModel(cx), jsonFile(`${cx.name}.overrides.json`, { activation_encodings, param_encodings })]
  },
}

const overrides = (encodings: Iterable<readonly [string, QuantParams]>): Json =>
  new Map([...encodings].map(([name, params]) => [name, legacyEncodings(params, 'snpe')]))
