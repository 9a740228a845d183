import { attribute, GraphBuilder, type Node, replaceAllUses, Tensor, type Value } from '../ir/index.ts'
import { floatAttribute, intAttribute } from '../passes/index.ts'
import { must } from '../util/index.ts'
import { FLOAT } from './fused.ts'
import { activationCodes, type Codes, codesOf, type Requantizer, requantizerOf } from './quantizers.ts'
import { onUnitScale } from './unit-scale.ts'

const INT32 = { to: attribute.int(6) }

export interface Operands {
  readonly x: Codes
  readonly w: Codes
  /** Codes of the weight less its zero point. */
  readonly weight: Tensor
  readonly bias?: Tensor
  /** Scale of a sum, for each output channel or one for all. */
  readonly scale: readonly number[]
}

/** Rewrites a Conv, Gemm or MatMul whose operands are codes. Leaves alone what it does not know. */
export function sumOnCodes(node: Node): void {
  const requantizer = requantizerOf(node)
  // A Conv that hands over real values has no integer kernel in the runtimes that simulate.
  if (!requantizer && node.opType === 'Conv') return
  const operands = operandsOf(node)
  if (operands) rewrite(node, operands, requantizer)
}

export function operandsOf(node: Node): Operands | undefined {
  if (node.opType === 'Gemm' && !isPlainGemm(node)) return undefined
  const [x, w] = [activationCodes(node.inputs[0]), codesOf(node.inputs[1])]
  const weight = w && centredWeight(node, w)
  if (!x || !w || !weight) return undefined
  const scale = Array.from(w.scale, (s) => Math.fround((x.scale[0] as number) * s))
  const given = node.inputs[2]
  const bias = given && biasInSteps(given, scale)
  return given && !bias ? undefined : { x, w, weight, scale, ...(bias && { bias }) }
}

const isPlainGemm = (node: Node): boolean =>
  floatAttribute(node, 'alpha', 1) === 1 &&
  floatAttribute(node, 'beta', 1) === 1 &&
  intAttribute(node, 'transA', 0) === 0

function centredWeight(node: Node, { codes, scale, zeroPoint, dequantizer }: Codes): Tensor | undefined {
  const tensor = codes.constant
  const zero = zeroPoint[0] as number
  if (!tensor || dequantizer.attributes.has('block_size')) return undefined
  if (Array.from(zeroPoint).some((z) => z !== zero)) return undefined
  const axis = intAttribute(dequantizer, 'axis', 1)
  if (scale.length > 1 && axis !== outputAxis(node, tensor.dims.length)) return undefined
  return Tensor.float32(
    tensor.dims,
    Float32Array.from(tensor.numbers(), (v) => v - zero),
  )
}

function outputAxis(node: Node, rank: number): number {
  if (node.opType === 'Conv') return 0
  return node.opType === 'Gemm' && intAttribute(node, 'transB', 0) === 1 ? 0 : rank - 1
}

/** The bias in steps of the sum: its codes, or a float bias over the scale of its sum, as FBGEMM adds it. */
function biasInSteps(value: Value, scale: readonly number[]): Tensor | undefined {
  const codes = codesOf(value)?.codes.constant
  if (codes) return Tensor.float32(codes.dims, Float32Array.from(codes.numbers()))
  const real = value.constant
  if (!real || (scale.length > 1 && real.size !== scale.length)) return undefined
  const steps = (v: number, i: number): number => v / (scale[scale.length > 1 ? i : 0] as number)
  return Tensor.float32(real.dims, Float32Array.from(real.numbers(), steps))
}

/** The bias in real values, or undefined where there is none. */
export function biasOf(node: Node): ArrayLike<number> | undefined {
  const value = node.inputs[2]
  const codes = codesOf(value)
  if (!codes) return value?.constant?.numbers()
  const { scale } = codes
  const steps = must(codes.codes.constant, 'codes of the bias').numbers()
  return Float32Array.from(steps, (v, i) => v * (scale[scale.length > 1 ? i : 0] as number))
}

function rewrite(node: Node, operands: Operands, requantizer: Requantizer | undefined): void {
  const { bias, scale } = operands
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const whole = exactSum(b, node, operands)
  const biased = bias ? b.op('Add', [whole, perChannel(b, node, bias.numbers())]) : whole
  const step = requantizer?.scale ?? 1
  const factor = perChannel(
    b,
    node,
    scale.map((s) => Math.fround(s / step)),
  )
  replaceAllUses(must(node.outputs[0], 'output'), b.op('Mul', [biased, factor]))
  if (requantizer) onUnitScale(requantizer, b)
}

/** One number for each output channel, along the axis of channels. */
export function perChannel(b: GraphBuilder, node: Node, values: ArrayLike<number>): Value {
  return b.constant('channels', Tensor.float32(channelDims(node, values.length), values))
}

/** Dims of one number for each of so many channels, along the axis of channels. */
export function channelDims(node: Node, count: number): readonly number[] {
  const rank = node.inputs[1]?.producer?.inputs[0]?.constant?.dims.length ?? 2
  return node.opType === 'Conv' ? [count, ...Array<number>(rank - 2).fill(1)] : [count]
}

/** The sum of products of codes, without the bias. */
export function exactSum(b: GraphBuilder, node: Node, { x, weight }: Operands): Value {
  const inputs = [centred(b, x), b.constant('weight_codes', weight)]
  const sum = b.op(node.opType, inputs, Object.fromEntries(node.attributes), { name: node.name })
  // Through int32, where a whole number stays what it is, so that no optimizer folds the factor into the weight.
  return b.op('Cast', [b.op('Cast', [sum], INT32)], FLOAT)
}

function centred(b: GraphBuilder, { codes, zeroPoint }: Codes): Value {
  const x = b.op('Cast', [codes], FLOAT)
  return zeroPoint[0] === 0
    ? x
    : b.op('Sub', [x, b.constant('zero_point', Tensor.float32([], [zeroPoint[0] as number]))])
}
