import { type Shape, tensorType } from '../../../ir/index.ts'
import { float, int, ints } from '../../attrs.ts'
import { defineOp, type InferContext, type OpDef } from '../../define-op.ts'
import { broadcastShapes } from '../../shared/broadcast.ts'
import { groupedConvAttrs } from '../../shared/conv-shape.ts'
import { normalizeAxes } from '../../shared/dims.ts'
import { poolAttrs, poolShape } from '../../shared/pool-shape.ts'
import { macsPerOutput } from '../../shared/products.ts'
import { shapeOfMinRank, typed } from '../../shared/rules.ts'
import { concatShape } from '../Concat.ts'
import { nhwc, nhwcConvShape } from './channels-last.ts'

/** ONNX Runtime's integer kernels (ContribOperators.md). Every tensor is followed by its scale and zero point. */
const common = { domain: 'com.microsoft', since: [1] } as const

const binary = (type: string): OpDef =>
  defineOp({
    ...common,
    type,
    inputs: ['A', 'A_scale', 'A_zero_point?', 'B', 'B_scale', 'B_zero_point?', 'C_scale', 'C_zero_point?'],
    outputs: ['C'],
    infer: (cx) => [typed(cx, broadcastShapes(cx, [cx.input(0)?.shape, cx.input(3)?.shape]))],
  })

export const QLinearAdd = binary('QLinearAdd')
export const QLinearMul = binary('QLinearMul')

const unaryInputs = ['X', 'X_scale', 'X_zero_point?', 'Y_scale', 'Y_zero_point?']
const like = (cx: InferContext) => [typed(cx, cx.input(0)?.shape)]

export const QLinearSigmoid = defineOp({
  ...common,
  type: 'QLinearSigmoid',
  inputs: unaryInputs,
  outputs: ['Y'],
  infer: like,
})

export const QLinearLeakyRelu = defineOp({
  ...common,
  type: 'QLinearLeakyRelu',
  inputs: unaryInputs,
  outputs: ['Y'],
  attrs: { alpha: float(0.01) },
  infer: (cx) => like(cx),
})

export const QLinearSoftmax = defineOp({
  ...common,
  type: 'QLinearSoftmax',
  inputs: ['X', 'X_scale', 'x_zero_point?', 'y_scale', 'y_zero_point'],
  outputs: ['Y'],
  attrs: { axis: int(-1), opset: int() },
  infer: (cx) => like(cx),
})

export const QLinearConcat = defineOp({
  ...common,
  type: 'QLinearConcat',
  inputs: ['Y_scale', 'Y_zero_point', 'inputs...'],
  outputs: ['Y'],
  attrs: { axis: int() },
  // inputs: tensor, scale, zero point, and again.
  infer(cx) {
    const tensors = Array.from({ length: Math.floor((cx.inputCount - 2) / 3) }, (_, i) => 2 + 3 * i)
    return [typed(cx, concatShape(cx, tensors, cx.attrs.axis), undefined, 1)]
  },
})

export const QLinearWhere = defineOp({
  ...common,
  type: 'QLinearWhere',
  inputs: ['condition', 'X', 'x_scale', 'x_zero_point', 'Y', 'y_scale', 'y_zero_point', 'z_scale', 'z_zero_point'],
  outputs: ['Z'],
  infer: (cx) => [
    typed(
      cx,
      broadcastShapes(
        cx,
        [0, 1, 4].map((i) => cx.input(i)?.shape),
      ),
      undefined,
      1,
    ),
  ],
})

export const QLinearAveragePool = defineOp({
  ...common,
  type: 'QLinearAveragePool',
  inputs: ['X', 'x_scale', 'x_zero_point?', 'y_scale', 'y_zero_point?'],
  outputs: ['Y'],
  attrs: { ...poolAttrs, ceil_mode: int(0), channels_last: int(0), count_include_pad: int(0) },
  infer: (cx) => [
    typed(cx, cx.attrs.channels_last ? nhwc(cx, (c) => poolShape(c, cx.attrs)) : poolShape(cx, cx.attrs)),
  ],
})

export const QLinearGlobalAveragePool = defineOp({
  ...common,
  type: 'QLinearGlobalAveragePool',
  inputs: ['X', 'x_scale', 'x_zero_point', 'y_scale', 'y_zero_point'],
  outputs: ['Y'],
  attrs: { channels_last: int(0) },
  infer: (cx) => [typed(cx, globalShape(shapeOfMinRank(cx, 0, 3), cx.attrs.channels_last === 1))],
})

function globalShape(shape: Shape | undefined, channelsLast: boolean): Shape | undefined {
  const channels = shape && (channelsLast ? shape.length - 1 : 1)
  return shape?.map((d, i) => (i === 0 || i === channels ? d : 1))
}

export const QLinearReduceMean = defineOp({
  ...common,
  type: 'QLinearReduceMean',
  inputs: ['data', 'data_scale', 'data_zero_point?', 'reduced_scale', 'reduced_zero_point?'],
  outputs: ['reduced'],
  attrs: { axes: ints(), keepdims: int() },
  infer(cx) {
    const shape = cx.input(0)?.shape
    if (!shape) return [typed(cx, undefined)]
    const axes = new Set(normalizeAxes(cx, cx.attrs.axes, shape.length))
    const kept = cx.attrs.keepdims === 1
    return [typed(cx, kept ? shape.map((d, i) => (axes.has(i) ? 1 : d)) : shape.filter((_, i) => !axes.has(i)))]
  },
})

/** The output is float when no output scale is given. */
export const QGemm = defineOp({
  ...common,
  type: 'QGemm',
  inputs: ['A', 'a_scale', 'a_zero_point', 'B', 'b_scale', 'b_zero_point', 'C?', 'y_scale?', 'y_zero_point?'],
  outputs: ['Y'],
  attrs: { alpha: float(1), transA: int(0), transB: int(0) },
  infer(cx) {
    const a = cx.input(0)?.shape
    const b = cx.input(3)?.shape
    const rows = a?.[cx.attrs.transA ? 1 : 0] ?? null
    return [tensorType(cx.input(8)?.dtype ?? 'float32', [rows, b?.[cx.attrs.transB ? 0 : 1] ?? null])]
  },
  macs: (cx, [y]) => macsPerOutput(y, cx.input(0)?.shape?.[cx.attrs.transA ? 0 : 1]),
})

export const QLinearConv = defineOp({
  ...common,
  type: 'QLinearConv',
  inputs: ['x', 'x_scale', 'x_zero_point', 'w', 'w_scale', 'w_zero_point', 'y_scale', 'y_zero_point', 'B?'],
  outputs: ['y'],
  attrs: { ...groupedConvAttrs, channels_last: int(0) },
  infer: (cx) => [typed(cx, nhwcConvShape(cx, 3, cx.attrs.channels_last === 1), undefined, 7)],
})
