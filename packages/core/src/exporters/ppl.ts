import type { QuantParams } from '../quant/index.ts'
import { complete } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { constantEncodings, tableEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { bits, every, integers, noGroups, of } from './holds.ts'
import { type Json, jsonFile, real } from './text.ts'

/** `quant_info` and `op_info` of OpenPPL, for `pplnn --quant-file` (docs/exporters/ppl.md). */
export const ppl: Exporter = {
  name: 'ppl',
  summary: 'OpenPPL quantization file (PPL CUDA and DSP), in the layout of PPQ',
  check: (cx) =>
    complete(cx, { holds: every(integers, noGroups, of(['activation', 'weight'], bits(4, 8))), oneForm: true }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.quant.json`, quantFile(cx))],
}

function quantFile(cx: ExportContext): Json {
  const groups = [...new Set(cx.plan.tensors.map((t) => t.group))]
  const groupOf = new Map(cx.plan.tensors.map((t) => [t.value, groups.indexOf(t.group)]))
  const encodings = [...tableEncodings(cx), ...constantEncodings(cx, 'weight')]
  return {
    quant_info: new Map(encodings.map(([name, params]) => [name, tensorInfo(params, groupOf.get(name) ?? -1)])),
    op_info: new Map(
      cx.plan.nodes.flatMap(({ node, decision }) =>
        decision === 'integer' || decision === 'fused' ? [[node, { data_type: 'INT8' }] as const] : [],
      ),
    ),
  }
}

/**
 * PPL reads `scale` and `zero_point` where it is built for QDQ models, and otherwise takes (tensor_max − tensor_min) / (2^bits − 1)
 * for the scale and tensor_max + tensor_min for the zero point, all as JSON doubles (ppl.nn, cuda engine, `OptGraph`). Symmetric
 * codes therefore span ±(2^bits − 1) / 2 steps: with −127 … 127 steps, or PPQ's −128 … 127, scale or zero point would be off.
 */
function tensorInfo({ spec, scale, zeroPoint }: QuantParams, group: number): Json {
  const { bits, quantMin, quantMax, signed } = spec
  const isSymmetric = signed && zeroPoint.every((z) => z === 0)
  const half = (2 ** bits - 1) / 2
  const low = (z: number) => (isSymmetric ? -half : quantMin - z)
  const high = (z: number) => (isSymmetric ? half : quantMax - z)
  const ranges = (end: (z: number) => number) => scale.map((s, i) => s * end(zeroPoint[i] as number))
  const perChannel = spec.granularity.kind === 'channel'
  const list = (values: readonly number[]): Json => (perChannel ? values.map(real) : real(values[0] as number))
  return {
    bit_width: bits,
    per_channel: perChannel,
    quant_flag: true,
    sym: isSymmetric,
    scale: list(scale),
    zero_point: list(zeroPoint),
    tensor_min: list(ranges(low)),
    tensor_max: list(ranges(high)),
    q_min: quantMin,
    q_max: quantMax,
    hash: group,
    dominator: group,
  }
}
