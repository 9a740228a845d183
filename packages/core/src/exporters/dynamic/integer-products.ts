import {
  type Attribute,
  attribute,
  GraphBuilder,
  type Model,
  type Node,
  replaceAllUses,
  safeRemove,
  Tensor,
  type Value,
} from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { CONV_ATTRIBUTES, isOne, isSet, pick } from '../node-attributes.ts'
import { dequantizedFrom, onlyZeroPoint, type Quantized } from '../qoperator/quantized.ts'

/** How a float operator that sums products is written with integers. */
interface Form {
  readonly opType: 'ConvInteger' | 'MatMulInteger'
  /** Axis of the weight that may have a scale for each index, given the weight's rank. */
  readonly axis: (node: Node, rank: number) => number | undefined
  /** Axes of the result behind the channels. */
  readonly trailing: (rank: number) => number
  readonly attributes: readonly string[]
  readonly fits: (node: Node) => boolean
}

export const FORMS: Readonly<Record<string, Form>> = {
  Conv: {
    opType: 'ConvInteger',
    axis: () => 0,
    trailing: (rank) => rank - 2,
    attributes: CONV_ATTRIBUTES,
    fits: (node) => !node.inputs[2] || node.inputs[2].constant !== null,
  },
  MatMul: {
    opType: 'MatMulInteger',
    axis: (_, rank) => (rank === 2 ? 1 : undefined),
    trailing: () => 0,
    attributes: [],
    fits: () => true,
  },
  Gemm: {
    opType: 'MatMulInteger',
    axis: (node) => (isSet(node, 'transB') ? 0 : 1),
    trailing: () => 0,
    attributes: [],
    fits: (node) => !isSet(node, 'transA') && isOne(node, 'alpha') && isOne(node, 'beta'),
  },
}

/**
 * y = sum((q_x − z_x) · (q_w − z_w)) · (s_x · s_w) + b in the place of one product of float data and a quantized weight. Other
 * nodes, and weights that no kernel takes, stay as they are. The order of the scales is the one that ONNX Runtime fuses.
 */
export function quantizeWhileRunning(node: Node, model: Model): void {
  const form = FORMS[node.qualifiedType]
  const weight = form && integerWeight(node, form)
  const [x, , bias] = node.inputs
  if (!form || !weight || !x) return
  const b = new GraphBuilder(model.graph, { before: node })
  const named = (suffix: string) => ({ name: `${node.name}_${suffix}` })
  const { codes, scale, zeroPoint } = quantizerOf(x, b)
  const trailing = form.trailing(rankOf(weight))
  const factors = weightOf(node, weight, b)
  const operands = [codes, factors.codes, zeroPoint, ...factors.zeroPoint]
  const sums = b.op(form.opType, operands, attributesOf(node, form), named('integer'))
  const columns = b.constant(`${weight.scale.name}_product`, columnScales(weight, trailing))
  const steps = b.op('Mul', [scale, columns], {}, named('scale'))
  const real = b.op('Cast', [sums], { to: attribute.int(1) }, named('cast'))
  const product = b.op('Mul', [real, steps], {}, named('product'))
  finish(node, bias ? b.op('Add', [product, alongChannels(bias, trailing, b)], {}, named('bias')) : product)
}

const rankOf = (weight: Quantized): number => weight.codes.constant?.dims.length ?? 0

const attributesOf = (node: Node, form: Form): Record<string, Attribute> =>
  Object.fromEntries(pick(node, ...form.attributes))

/** The weight behind a node's input 1, if the integer operator takes its granularity. */
function integerWeight(node: Node, form: Form): Quantized | undefined {
  const weight = dequantizedFrom(node.inputs[1])
  if (!weight?.codes.constant || !form.fits(node) || onlyZeroPoint(weight) === undefined) return undefined
  return weight.axis === undefined || weight.axis === form.axis(node, rankOf(weight)) ? weight : undefined
}

/** One quantizer for all that read a value. */
function quantizerOf(x: Value, b: GraphBuilder): { codes: Value; scale: Value; zeroPoint: Value } {
  const known = x.consumers().find((reader) => reader.opType === 'DynamicQuantizeLinear')
  const outputs =
    known?.outputs ?? b.ops('DynamicQuantizeLinear', [x], {}, { outputs: 3, name: `${x.name}_DynamicQuantizeLinear` })
  const [codes, scale, zeroPoint] = outputs.map((value) => must(value, 'output of DynamicQuantizeLinear'))
  return { codes: must(codes, 'codes'), scale: must(scale, 'scale'), zeroPoint: must(zeroPoint, 'zero point') }
}

/** MatMulInteger knows no transposition; zero points other than 0 are stored as one number. */
function weightOf(node: Node, weight: Quantized, b: GraphBuilder): { codes: Value; zeroPoint: Value[] } {
  const { codes, dtype } = weight
  const zero = must(onlyZeroPoint(weight), 'zero point')
  const zeroPoint = zero === 0 ? [] : [b.constant(`${codes.name}_zero`, Tensor.fromNumbers(dtype, [], [zero]))]
  if (!isSet(node, 'transB')) return { codes, zeroPoint }
  return { codes: b.constant(`${codes.name}_transposed`, transposed(must(codes.constant, 'codes'))), zeroPoint }
}

function transposed(matrix: Tensor): Tensor {
  const [rows = 0, columns = 0] = matrix.dims
  const from = matrix.numbers()
  const to = Float64Array.from(
    { length: from.length },
    (_, i) => from[(i % rows) * columns + Math.floor(i / rows)] as number,
  )
  return Tensor.fromNumbers(matrix.dtype, [columns, rows], to)
}

/** The weight's scales so that they multiply the result's channels. */
function columnScales(weight: Quantized, trailing: number): Tensor {
  const scale = must(weight.scale.constant, 'scale')
  return weight.axis === undefined ? scale : withAxes(scale, trailing)
}

const withAxes = (vector: Tensor, trailing: number): Tensor =>
  vector.reshape([...vector.dims, ...new Array<number>(trailing).fill(1)])

function alongChannels(bias: Value, trailing: number, b: GraphBuilder): Value {
  if (trailing === 0) return bias
  return b.constant(`${bias.name}_channels`, withAxes(must(bias.constant, 'bias'), trailing))
}

/** Readers take the result, which goes by the name of what it replaces. */
function finish(node: Node, result: Value): void {
  const old = must(node.outputs[0], 'output')
  result.type = old.type
  replaceAllUses(old, result)
  if (!node.graph?.isOutput(result)) [result.name, old.name] = [old.name, result.name]
  safeRemove(node)
}
