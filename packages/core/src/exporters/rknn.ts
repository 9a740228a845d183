import type { QuantParams, QuantSpec, TensorPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { complete } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { planned } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { every, integers, noGroups } from './holds.ts'
import { type Json, jsonFile, real } from './text.ts'

/** PPQ's name of the platform. */
const PLATFORM = `RKNN_INT8`

/**
 * ONNX with PPQ's JSON for RKNN beside it: `configs` by node and tensor, `values` by the number of the configuration that owns the
 * scale (docs/exporters/rknn.md).
 */
export const rknn: Exporter = {
  name: 'rknn',
  summary: 'ONNX and quantization configuration JSON for RKNN, in the layout of PPQ',
  check: (cx) => complete(cx, { holds: every(integers, noGroups) }),
  emit: (cx) => [floatModel(cx), jsonFile(`${cx.name}.rknn.json`, configuration(cx))],
}

function configuration(cx: ExportContext): Json {
  const tensors = planned(cx, 'activation', 'weight', 'bias', 'fill')
  const owners = new Map<string, number>()
  for (const [i, { tensor }] of tensors.entries()) if (!owners.has(tensor.group)) owners.set(tensor.group, i + 1)
  const ownerOf = (tensor: TensorPlan) => must(owners.get(tensor.group), 'owner of a group')
  const entries = tensors.map(({ tensor, params }, i) => {
    return { tensor, hash: i + 1, params, config: config(tensor, params.spec, i + 1, ownerOf(tensor)) }
  })
  const configs = [...cx.model.graph.nodes].flatMap((node): [string, Json][] => {
    const outputs = new Set(node.outputs.map((value) => value?.name))
    const own = entries.filter(({ tensor }) => tensor.readers.includes(node.name) || outputs.has(tensor.value))
    return own.length > 0 ? [[node.name, new Map(own.map((e) => [e.tensor.value, e.config]))]] : []
  })
  const values = entries.filter(({ tensor, hash }) => ownerOf(tensor) === hash)
  return {
    configs: new Map(configs),
    dispatchings: new Map(cx.plan.nodes.map((n) => [n.node, n.decision === 'float' ? 'FP32' : PLATFORM])),
    values: new Map(values.map(({ hash, params }) => [String(hash), scaleAndZero(params)])),
  }
}

const config = (tensor: TensorPlan, spec: QuantSpec, hash: number, dominator: number): Json => ({
  bit_width: spec.bits,
  policy: policy(spec),
  state: tensor.role === 'bias' || tensor.role === 'fill' ? 'PASSIVE' : hash === dominator ? 'ACTIVATED' : 'OVERLAPPED',
  quant_min: spec.quantMin,
  quant_max: spec.quantMax,
  hash,
  dominator,
})

const policy = ({ granularity, symmetric, powerOfTwo }: QuantSpec): Json => ({
  PER_TENSOR: granularity.kind === 'tensor',
  PER_CHANNEL: granularity.kind === 'channel',
  LINEAR: true,
  FLOATING: false,
  SYMMETRICAL: symmetric,
  ASYMMETRICAL: !symmetric,
  POWER_OF_2: powerOfTwo !== undefined,
  DYNAMIC: false,
})

function scaleAndZero({ spec, scale, zeroPoint }: QuantParams): Json {
  if (spec.granularity.kind === 'channel') return { scale: scale.map(real), zero_point: zeroPoint }
  return { scale: real(scale[0] as number), zero_point: zeroPoint[0] as number }
}
