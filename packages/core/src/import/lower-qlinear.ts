import { type Attribute, asTensor, attribute, type Node, Tensor, type Value } from '../ir/index.ts'
import { intAttribute, intsAttribute } from '../passes/node-attributes.ts'
import { constantOf, type ImportContext, keep } from './context.ts'
import { type FloatForm, Lowering, type Parameters } from './lower.ts'

/** Builds a kernel's float form, or says why it has none. */
type Form = (l: Lowering) => FloatForm | string

const CONV_ATTRIBUTES = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides']
const POOL_ATTRIBUTES = ['auto_pad', 'kernel_shape', 'pads', 'strides', 'ceil_mode', 'count_include_pad']

/**
 * Integer kernels of ONNX (QLinearConv, QLinearMatMul) and of ONNX Runtime (ContribOperators.md), with the float operator that each
 * stands for. Scale and zero point follow the tensor that they belong to.
 */
const FORMS: Readonly<Record<string, Form>> = {
  QLinearConv: conv,
  'com.microsoft::QLinearConv': conv,
  QLinearMatMul: matMul,
  'com.microsoft::QGemm': gemm,
  'com.microsoft::QLinearAdd': binary('Add'),
  'com.microsoft::QLinearMul': binary('Mul'),
  'com.microsoft::QLinearSigmoid': unary('Sigmoid'),
  'com.microsoft::QLinearLeakyRelu': unary('LeakyRelu', ['alpha']),
  'com.microsoft::QLinearSoftmax': softmax,
  'com.microsoft::QLinearAveragePool': pool('AveragePool', POOL_ATTRIBUTES),
  'com.microsoft::QLinearGlobalAveragePool': pool('GlobalAveragePool', []),
  'com.microsoft::QLinearReduceMean': reduceMean,
  'com.microsoft::QLinearConcat': concat,
  'com.microsoft::QLinearWhere': where,
  'com.microsoft::MatMulIntegerToFloat': matMulToFloat,
}

/** True for operators that compute with codes, and are no quantizers themselves. */
export const isIntegerKernel = (node: Node): boolean =>
  Object.hasOwn(FORMS, node.qualifiedType) ||
  /^(ConvInteger|MatMulInteger|DynamicQuantize\w+|QAttention)$/.test(node.opType)

/** Gives a node with an integer kernel its float form between quantizers; says so where it cannot. */
export function lowerKernel(node: Node, cx: ImportContext): void {
  const form = Object.hasOwn(FORMS, node.qualifiedType) ? FORMS[node.qualifiedType] : undefined
  if (!form) return
  const lowering = new Lowering(node, cx)
  const found = form(lowering)
  if (typeof found === 'string') keep(node, found, cx)
  else lowering.replace(found)
}

const copied = (node: Node, names: readonly string[]): Record<string, Attribute> =>
  Object.fromEntries(
    names.flatMap((name) => (node.attributes.has(name) ? [[name, node.attributes.get(name) as Attribute]] : [])),
  )

/** Scale and zero point of the result, at these positions. */
const result = ({ node }: Lowering, scale: number, zero = scale + 1): Parameters => ({
  scale: node.inputs[scale] as Value,
  zero: node.inputs[zero] ?? null,
})

const isChannelsLast = (node: Node): boolean => intAttribute(node, 'channels_last', 0) === 1
const CHANNELS_LAST = 'it has its channels last, and the float operator has them second'

function conv(l: Lowering): FloatForm | string {
  const { node } = l
  if (isChannelsLast(node)) return CHANNELS_LAST
  const bias = node.inputs[8]
  const x = l.dequantized(l.coded(0))
  const w = l.dequantized(l.coded(3), 0)
  const b = bias ? [l.bias(bias, [node.inputs[1] ?? null, node.inputs[4] ?? null])] : []
  return { opType: 'Conv', inputs: [x, w, ...b], attributes: copied(node, CONV_ATTRIBUTES), out: result(l, 6) }
}

function matMul(l: Lowering): FloatForm {
  const b = l.coded(3)
  const rank = constantOf(b.codes, l.cx.graph)?.dims.length ?? asTensor(b.codes.type)?.shape?.length ?? 2
  return { opType: 'MatMul', inputs: [l.dequantized(l.coded(0)), l.dequantized(b, rank - 1)], out: result(l, 6) }
}

/** The accumulator counts in steps of alpha · scale(A) · scale(B), and C is added to it. */
function gemm(l: Lowering): FloatForm {
  const { node } = l
  const alpha = node.attributes.get('alpha')
  const factor = alpha?.kind === 'float' ? alpha.value : 1
  const c = node.inputs[6]
  const a = l.dequantized(l.coded(0))
  const b = l.dequantized(l.coded(3), intAttribute(node, 'transB', 0) === 1 ? 0 : 1)
  const bias = c ? [l.bias(c, [node.inputs[1] ?? null, node.inputs[4] ?? null], factor)] : []
  const attributes = copied(node, ['alpha', 'transA', 'transB'])
  const out = node.inputs[7] ? { out: result(l, 7) } : {}
  return { opType: 'Gemm', inputs: [a, b, ...bias], attributes, ...out }
}

function binary(opType: string): Form {
  return (l) => ({ opType, inputs: [l.dequantized(l.coded(0)), l.dequantized(l.coded(3))], out: result(l, 6) })
}

function unary(opType: string, attributes: readonly string[] = []): Form {
  return (l) => ({
    opType,
    inputs: [l.dequantized(l.coded(0))],
    attributes: copied(l.node, attributes),
    out: result(l, 3),
  })
}

function pool(opType: string, attributes: readonly string[]): Form {
  return (l) => (isChannelsLast(l.node) ? CHANNELS_LAST : unary(opType, attributes)(l))
}

/** Before opset 13 Softmax ran over all axes from `axis` on; the kernel remembers which of the two it was made from. */
function softmax(l: Lowering): FloatForm | string {
  const { node, cx } = l
  const axis = intAttribute(node, 'axis', -1)
  const rank = asTensor(node.inputs[0]?.type)?.shape?.length
  const isLast = axis === -1 || axis + 1 === rank
  const same = intAttribute(node, 'opset', 13) < 13 === cx.model.opset() < 13
  return same || isLast ? unary('Softmax', ['axis'])(l) : 'it means the Softmax of another opset than the model has'
}

/** From opset 18 on the axes are an input. */
function reduceMean(l: Lowering): FloatForm {
  const form = unary('ReduceMean', ['keepdims'])(l) as FloatForm
  const axes = intsAttribute(l.node, 'axes') ?? []
  if (l.cx.model.opset() < 18) {
    return { ...form, attributes: { ...form.attributes, axes: attribute.ints(axes) } }
  }
  return { ...form, inputs: [...form.inputs, l.constant('axes', Tensor.int64([axes.length], axes))] }
}

function concat(l: Lowering): FloatForm {
  const { node } = l
  const tensors = Array.from({ length: Math.floor((node.inputs.length - 2) / 3) }, (_, i) => 2 + 3 * i)
  const inputs = tensors.map((i) => l.dequantized(l.coded(i)))
  return { opType: 'Concat', inputs, attributes: copied(node, ['axis']), out: result(l, 0) }
}

function where(l: Lowering): FloatForm {
  const condition = l.node.inputs[0] ?? null
  return {
    opType: 'Where',
    inputs: [condition, l.dequantized(l.coded(1)), l.dequantized(l.coded(4))],
    out: result(l, 7),
  }
}

function matMulToFloat(l: Lowering): FloatForm {
  const a = l.dequantized(l.coded(0, 2, 4))
  const b = l.dequantized(l.coded(1, 3, 5), 1)
  const bias = l.node.inputs[6]
  if (!bias) return { opType: 'MatMul', inputs: [a, b] }
  return { opType: 'Add', inputs: [l.op('MatMul', [a, b]), bias] }
}
