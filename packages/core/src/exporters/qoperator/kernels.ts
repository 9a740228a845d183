import { type Attribute, attribute, type Node, type Tensor, type Value } from '../../ir/index.ts'
import { decodeUtf8 } from '../../util/index.ts'
import { CONV_ATTRIBUTES, isOne, isSet, POOL_ATTRIBUTES, pick } from '../node-attributes.ts'
import { accumulatorBias, onlyZeroPoint, type Quantized } from './quantized.ts'

/** A node between dequantizers and, unless its result stays float, a quantizer. */
export interface Surrounded {
  readonly node: Node
  /** The model's opset. */
  readonly opset: number
  readonly input: (i: number) => Quantized | undefined
  /** Absent: what reads the node wants float numbers. */
  readonly output: Quantized | undefined
}

/** The integer operator that takes the place of a node. Tensors become initializers. */
export interface Kernel {
  readonly opType: string
  readonly domain: '' | 'com.microsoft'
  readonly inputs: readonly (Value | Tensor | null)[]
  readonly attributes: readonly (readonly [string, Attribute])[]
}

/** Undefined where the integer operator cannot do what the node does. */
type Build = (s: Surrounded) => Kernel | undefined

const kernel = (opType: string, inputs: Kernel['inputs'], attributes: Kernel['attributes'] = []): Kernel => ({
  opType,
  domain: 'com.microsoft',
  inputs,
  attributes,
})

const standard = (opType: string, inputs: Kernel['inputs'], attributes: Kernel['attributes'] = []): Kernel => ({
  ...kernel(opType, inputs, attributes),
  domain: '',
})

const triple = ({ codes, scale, zeroPoint }: Quantized): Value[] => [codes, scale, zeroPoint]
const pair = ({ scale, zeroPoint }: Quantized): Value[] => [scale, zeroPoint]

/** One scale, which is all that kernels take for activations. */
const whole = (q: Quantized | undefined): Quantized | undefined => (q && q.axis === undefined ? q : undefined)

/** Operands of a product: unsigned activations take weights of either sign, signed ones signed weights, as ONNX Runtime's kernels do. */
function product({ input, output }: Surrounded, axis: number): { x: Quantized; w: Quantized } | undefined {
  const x = whole(input(0))
  const w = input(1)
  if (!x || !w || (output && (!whole(output) || output.dtype !== x.dtype))) return undefined
  if (x.dtype === 'int8' && w.dtype !== 'int8') return undefined
  if (w.axis !== undefined && (w.axis !== axis || !w.codes.constant || onlyZeroPoint(w) === undefined)) return undefined
  return { x, w }
}

/** `null` for no bias; undefined for one that has no codes. */
function bias({ node }: Surrounded, { x, w }: { x: Quantized; w: Quantized }): Value | Tensor | null | undefined {
  const value = node.inputs[2]
  return value ? accumulatorBias(value, x, w) : null
}

const conv: Build = (s) => {
  const operands = product(s, 0)
  const added = operands && bias(s, operands)
  if (!s.output || !operands?.w.codes.constant || added === undefined) return undefined
  const inputs = [...triple(operands.x), ...triple(operands.w), ...pair(s.output), ...(added ? [added] : [])]
  return standard('QLinearConv', inputs, pick(s.node, ...CONV_ATTRIBUTES))
}

const gemm: Build = (s) => {
  const operands = product(s, isSet(s.node, 'transB') ? 0 : 1)
  const added = operands && bias(s, operands)
  if (!operands || added === undefined || !isOne(s.node, 'alpha') || !isOne(s.node, 'beta')) return undefined
  const inputs = [...triple(operands.x), ...triple(operands.w), added, ...(s.output ? pair(s.output) : [])]
  return kernel('QGemm', s.output || added ? inputs : inputs.slice(0, 6), pick(s.node, 'transA', 'transB'))
}

const matmul: Build = (s) => {
  const rank = s.input(1)?.codes.constant?.dims.length
  // Scales along the last axis of a matrix; of more axes the kernel takes one scale only.
  const operands = product(s, rank === 2 ? 1 : Number.NaN)
  if (!operands) return undefined
  const { x, w } = operands
  if (s.output) return standard('QLinearMatMul', [...triple(x), ...triple(w), ...pair(s.output)])
  return kernel('MatMulIntegerToFloat', [x.codes, w.codes, x.scale, w.scale, x.zeroPoint, w.zeroPoint])
}

/** Operands and result of one type, one scale each. */
function alike({ input, output }: Surrounded, ...positions: readonly number[]): Quantized[] | undefined {
  const all = positions.map((i) => whole(input(i)))
  if (!whole(output) || all.some((q) => q?.dtype !== output?.dtype)) return undefined
  return [...(all as Quantized[]), output as Quantized]
}

const binary =
  (opType: string): Build =>
  (s) => {
    const [a, b, c] = alike(s, 0, 1) ?? []
    return a && b && c && kernel(opType, [...triple(a), ...triple(b), ...pair(c)])
  }

const unary =
  (opType: string, attributes: (s: Surrounded) => Kernel['attributes'] = () => []): Build =>
  (s) => {
    const [x, y] = alike(s, 0) ?? []
    return x && y && kernel(opType, [...triple(x), ...pair(y)], attributes(s))
  }

const averagePool: Build = (s) => {
  const dilations = s.node.attributes.get('dilations')
  if (dilations?.kind === 'ints' && dilations.value.some((d) => d !== 1n)) return undefined
  return unary('QLinearAveragePool', () => pick(s.node, ...POOL_ATTRIBUTES))(s)
}

const softmax = unary('QLinearSoftmax', ({ node, opset }) => {
  const axis = node.attributes.get('axis') ?? attribute.int(opset < 13 ? 1 : -1)
  return [
    ['axis', axis],
    ['opset', attribute.int(opset)],
  ]
})

const where: Build = (s) => {
  const [x, y, z] = alike(s, 1, 2) ?? []
  const condition = s.node.inputs[0]
  return x && y && z && condition
    ? kernel('QLinearWhere', [condition, ...triple(x), ...triple(y), ...pair(z)])
    : undefined
}

const concat: Build = (s) => {
  const all = alike(s, ...s.node.inputs.keys())
  const y = all?.pop()
  return all && y && kernel('QLinearConcat', [...pair(y), ...all.flatMap(triple)], pick(s.node, 'axis'))
}

/** Integer operators of ONNX and of ONNX Runtime (ContribOperators.md), by the float operator that each stands for. */
export const KERNELS: Readonly<Record<string, Build>> = {
  Conv: conv,
  Gemm: gemm,
  MatMul: matmul,
  Add: binary('QLinearAdd'),
  Mul: binary('QLinearMul'),
  Sigmoid: unary('QLinearSigmoid'),
  LeakyRelu: unary('QLinearLeakyRelu', ({ node }) => pick(node, 'alpha')),
  GlobalAveragePool: unary('QLinearGlobalAveragePool', () => [['channels_last', attribute.int(0)]]),
  AveragePool: averagePool,
  Softmax: softmax,
  Where: where,
  Concat: concat,
}

/** Operators that ONNX Runtime runs on 8-bit codes as they are: their output elements are input elements. */
const MOVERS = new Set([
  'MaxPool',
  'ReduceMax',
  'ReduceMin',
  'Reshape',
  'Flatten',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Slice',
  'Split',
  'Gather',
  'GatherElements',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
  'Resize',
  'Identity',
])

/** Whether every element of a node's result is one of its input 0. */
export function movesCodes(node: Node): boolean {
  const mode = node.attributes.get('mode')
  const interpolates = node.opType === 'Resize' && mode?.kind === 'string' && decodeUtf8(mode.value) !== 'nearest'
  return MOVERS.has(node.qualifiedType) && !interpolates
}
