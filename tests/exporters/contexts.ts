import type { ExportContext } from '@fewbit/core/exporters'
import { cloneModel, type Model, parseModel, Tensor, valuesByName } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { defaultScheme, measuredTensors, planQuantization, resolveParams, type Target } from '@fewbit/core/quant'
import { onnxruntime } from '@fewbit/core/targets'
import { Diagnostics } from '@fewbit/core/util'

const signed = { bits: 8, signed: true, symmetric: true, narrow: true } as const
const affine = { bits: 8, signed: false, symmetric: false, granularity: 'tensor' } as const
const kernels = { activations: ['uint8', 'int8', 'uint16', 'int16'], weights: ['uint8', 'int8', 'int4'] } as const

/** Kernels that apply a Relu before they requantize, so that signed codes do not stand in its way. */
const fuse = onnxruntime.fuse.map((pattern) => ({ ...pattern, clips: 'accumulator' as const }))

const symmetric: Target = {
  ...onnxruntime,
  fuse,
  name: 'symmetric',
  activations: { ...signed, granularity: 'tensor' },
  weights: { ...signed, granularity: 'channel' },
  kernels,
}

const powerOfTwo: Target = {
  ...onnxruntime,
  fuse,
  name: 'power-of-two',
  activations: { ...signed, narrow: false, granularity: 'tensor', powerOfTwo: 'ceil' },
  weights: { ...signed, narrow: false, granularity: 'tensor', powerOfTwo: 'ceil' },
  bias: { bits: 8, scale: 'own', powerOfTwo: 'ceil' },
  kernels,
}

/** Layers with quantized results. */
const outputs = { ...onnxruntime.ops, Gemm: { mode: 'integer' }, MatMul: { mode: 'integer' } } as const

/** Backends of every habit, in which formats differ; the rules about operators are those of ONNX Runtime. */
export const VARIANTS = {
  onnxruntime,
  symmetric,
  'symmetric-tensor': { ...symmetric, weights: { ...signed, granularity: 'tensor' } },
  'quantized-outputs': { ...symmetric, ops: outputs },
  'symmetric-full': { ...symmetric, activations: { ...signed, narrow: false, granularity: 'tensor' } },
  /** Inputs of what sums products and nothing else, as ncnn and Ascend quantize. */
  inputs: { ...symmetric, points: 'inputs', ops: layersOnly() },
  /** As Ascend quantizes: affine inputs, channel-wise convolutions, linear layers with one scale. */
  ascend: { ...symmetric, activations: affine, points: 'inputs', ops: ascendOps() },
  'affine-inputs': { ...symmetric, activations: affine, points: 'inputs', ops: layersOnly() },
  affine: { ...onnxruntime, activations: affine, weights: affine, kernels },
  'power-of-two': powerOfTwo,
  logarithmic: {
    ...symmetric,
    activations: { ...signed, granularity: 'tensor', format: { kind: 'log2' } },
    weights: { ...signed, granularity: 'tensor', format: { kind: 'log2' } },
    ops: layersOnly(),
  },
} as const satisfies Record<string, Target>

export type VariantName = keyof typeof VARIANTS

function layersOnly(): Target['ops'] {
  const kept = ['Conv', 'Gemm', 'MatMul']
  return Object.fromEntries(
    Object.entries(onnxruntime.ops).map(([type, rule]) => {
      if (rule.mode === 'integer' && !kept.includes(type)) return [type, { mode: 'float', why: 'for the test' }]
      return [type, kept.includes(type) ? { mode: 'integer', floatOutput: true } : rule]
    }),
  )
}

function ascendOps(): Target['ops'] {
  const whole = { mode: 'integer', floatOutput: true, weights: { granularity: 'tensor' } } as const
  return { ...layersOnly(), Gemm: whole, MatMul: whole }
}

/**
 * Plan and parameters of a typed model. The i-th measured tensor reaches from −(i + 1)/2, or 0 behind a Relu, to i + 1, so that no
 * two are alike.
 */
export function contextOf(model: Model, target: Target, scheme = defaultScheme(target)): ExportContext {
  const plan = planQuantization(model, target, defaultOps, { scheme })
  const values = valuesByName(model.graph)
  const isPositive = (value: string) => values.get(value)?.producer?.opType === 'Relu'
  const ranges = new Map(
    measuredTensors(plan).map((t, i) => [t.value, { lo: isPositive(t.value) ? 0 : -(i + 1) / 2, hi: i + 1 }]),
  )
  const params = resolveParams(model, plan, { activations: ranges }, new Diagnostics())
  return { name: 'net', model, plan, params, target }
}

export const copyOf = (cx: ExportContext): ExportContext => ({ ...cx, model: cloneModel(cx.model) })

const TEXT = `<ir_version = 8, opset_import = ["": 17]>
  main (float32[1,2,4,4] image, float32[4,2,1,1] w1, float32[4] b1, float32[4,1,3,3] w2, float32[3,16] w3, float32[3] b3)
    => (float32[1,3] logits) {
    c1 = Conv(image, w1, b1) r1 = Relu(c1) m1 = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r1)
    c2 = Conv<group = 4, pads = [1, 1, 1, 1]>(m1, w2) f = Flatten(c2) logits = Gemm<transB = 1>(f, w3, b3) }`

/** What tables print in short: a pointwise and a depthwise convolution and a linear layer, weights of few binary digits. */
export function smallNetwork(): Model {
  const model = parseModel(TEXT)
  const { graph } = model
  for (const value of graph.inputs.splice(1)) {
    const dims = value.type?.kind === 'tensor' ? (value.type.shape as number[]) : []
    const count = dims.reduce((n, d) => n * d, 1)
    const rows = dims[0] ?? 1
    // Each output channel reaches further than the one before.
    const weight = (i: number) => (((i * 5) % 7) - 2) * (1 + Math.floor((i * rows) / count)) * 0.25
    value.constant = Tensor.float32(
      dims,
      Float32Array.from({ length: count }, (_, i) => weight(i)),
    )
    graph.initializers.add(value)
  }
  inferShapes(model, { ops: defaultOps })
  for (const node of graph.nodes) node.name = `${node.opType.toLowerCase()}_${node.outputs[0]?.name}`
  return model
}
