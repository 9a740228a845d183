import type { QuantParams } from '../quant/index.ts'
import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { bits, every, fullRange, integers, noGroups, of } from './holds.ts'
import { type Json, jsonFile, real } from './text.ts'

/** MQBench's file for PPL's DSP engine with 8-bit weights and 16-bit activations (docs/exporters/ppl.md). */
export const pplW8A16: Exporter = {
  name: 'ppl-w8a16',
  summary: 'PPL file of steps and ranges (w8a16), in the layout of MQBench',
  check: (cx) =>
    complete(cx, {
      holds: every(integers, noGroups, of(['activation', 'weight'], bits(8, 16), fullRange)),
      oneForm: true,
    }),
  emit(cx) {
    const encodings = [...activationEncodings(cx), ...constantEncodings(cx, 'weight')]
    const entries = new Map(encodings.map(([name, params]) => [name, entry(params)]))
    return [floatModel(cx), jsonFile(`${cx.name}.clip-ranges.json`, { ppl: entries })]
  },
}

function entry({ spec, scale, zeroPoint }: QuantParams): Json {
  const isList = spec.granularity.kind === 'channel'
  const ends = (code: number) => scale.map((s, i) => real(s * (code - (zeroPoint[i] as number))))
  const one = (values: readonly Json[]): Json => (isList ? values : (values[0] as Json))
  return {
    step: one(scale.map(real)),
    zero_point: one(zeroPoint),
    min: one(ends(spec.quantMin)),
    max: one(ends(spec.quantMax)),
    bit: spec.bits,
    type: 'biased',
  }
}
