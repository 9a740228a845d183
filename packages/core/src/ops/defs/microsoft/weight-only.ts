import { int } from '../../attrs.ts'
import { defineOp } from '../../define-op.ts'
import { dimsConflict, mulDims } from '../../shared/dims.ts'
import { macsPerOutput, matmulShape } from '../../shared/products.ts'
import { typed } from '../../shared/rules.ts'
import { recurrentAttrs, recurrentTypes } from '../recurrent.ts'

/** Integer weights with float data, and the quantizers of ONNX Runtime's own domain (4 and 16 bits before opset 21). */
const common = { domain: 'com.microsoft', since: [1] } as const

export const QuantizeLinear = defineOp({
  ...common,
  type: 'QuantizeLinear',
  inputs: ['x', 'y_scale', 'y_zero_point?'],
  outputs: ['y'],
  attrs: { axis: int(1) },
  infer: (cx) => [typed(cx, cx.input(0)?.shape, cx.input(2)?.dtype ?? 'uint8')],
  quant: { roles: ['activation', 'parameter', 'parameter'], traits: ['quantizer'] },
})

export const DequantizeLinear = defineOp({
  ...common,
  type: 'DequantizeLinear',
  inputs: ['x', 'x_scale', 'x_zero_point?'],
  outputs: ['y'],
  attrs: { axis: int(1) },
  infer: (cx) => [typed(cx, cx.input(0)?.shape, undefined, 1)],
  quant: { roles: ['activation', 'parameter', 'parameter'], traits: ['quantizer'] },
})

export const DynamicQuantizeMatMul = defineOp({
  ...common,
  type: 'DynamicQuantizeMatMul',
  inputs: ['A', 'B', 'b_scale', 'b_zero_point?', 'bias?'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, matmulShape(cx, cx.input(0)?.shape, cx.input(1)?.shape))],
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.at(-1)),
})

export const MatMulIntegerToFloat = defineOp({
  ...common,
  type: 'MatMulIntegerToFloat',
  inputs: ['A', 'B', 'a_scale', 'b_scale', 'a_zero_point?', 'b_zero_point?', 'bias?'],
  outputs: ['Y'],
  infer: (cx) => [typed(cx, matmulShape(cx, cx.input(0)?.shape, cx.input(1)?.shape), undefined, 2)],
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.at(-1)),
})

/** A [.., K] times packed B, whose logical shape [K, N] stands in the attributes. */
export const MatMulNBits = defineOp({
  ...common,
  type: 'MatMulNBits',
  inputs: ['A', 'B', 'scales', 'zero_points?', 'g_idx?', 'bias?'],
  outputs: ['Y'],
  attrs: {
    K: int(),
    N: int(),
    accuracy_level: int(0),
    bits: int(4),
    block_size: int(),
    weight_prepacked: int(0),
  },
  infer(cx) {
    const a = cx.input(0)?.shape
    if (a && dimsConflict(a.at(-1) ?? null, cx.attrs.K)) cx.mismatch(`A has ${a.at(-1)} columns, K is ${cx.attrs.K}`)
    return [typed(cx, a?.with(-1, cx.attrs.N))]
  },
  macs: (cx, [y]) => macsPerOutput(y, cx.attrs.K),
  quant: { roles: ['activation', 'parameter'] },
})

/** Data packed in uint8 holds 8 / bits elements a byte along the quantized axis, which is the last one. */
export const GatherBlockQuantized = defineOp({
  ...common,
  type: 'GatherBlockQuantized',
  inputs: ['data', 'indices', 'scales', 'zero_points?'],
  outputs: ['output'],
  attrs: { bits: int(4), block_size: int(128), gather_axis: int(0), quantize_axis: int(1) },
  infer(cx) {
    const data = cx.input(0)
    const indices = cx.input(1)?.shape
    if (!data?.shape || !indices) return [typed(cx, undefined, undefined, 2)]
    const perByte = data.dtype === 'uint8' ? 8 / cx.attrs.bits : 1
    const unpacked = data.shape.with(-1, mulDims(data.shape.at(-1) ?? null, perByte))
    const axis = cx.attrs.gather_axis < 0 ? cx.attrs.gather_axis + unpacked.length : cx.attrs.gather_axis
    return [typed(cx, [...unpacked.slice(0, axis), ...indices, ...unpacked.slice(axis + 1)], undefined, 2)]
  },
})

export const DynamicQuantizeLSTM = defineOp({
  ...common,
  type: 'DynamicQuantizeLSTM',
  inputs: [
    'X',
    'W',
    'R',
    'B?',
    'sequence_lens?',
    'initial_h?',
    'initial_c?',
    'P?',
    'W_scale',
    'W_zero_point',
    'R_scale',
    'R_zero_point',
  ],
  outputs: ['Y?', 'Y_h?', 'Y_c?'],
  attrs: { ...recurrentAttrs, input_forget: int(0) },
  infer: (cx) => recurrentTypes(cx, 2),
})
