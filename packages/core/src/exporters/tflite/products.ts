import type { Value } from '../../ir/index.ts'
import { type QuantParams, quantize } from '../../quant/index.ts'
import { bytesOf, must, roundHalfEven } from '../../util/index.ts'
import type { StoredAs } from './lowering.ts'
import { inOrder, NHWC, type Order } from './order.ts'
import { ACTIVATION, PADDING } from './schema.ts'
import { input, intAttr, refuse, type Task, type Translate } from './task.ts'
import { padded, windowOf } from './window.ts'

/** Weights of a convolution in TFLite's order: output, height, width, input; of a depthwise one: 1, height, width, channels. */
const OHWI: Order = [0, 2, 3, 1]
const DEPTHWISE: Order = [1, 2, 3, 0]

export const conv: Translate = (task) => {
  const { lowering } = task
  const [x, w] = [lowering.shape(input(task)), lowering.shape(input(task, 1))]
  const group = intAttr(task, 'group')
  const window = windowOf(task, w.slice(2))
  const isDepthwise = group > 1 && group === x[1]
  const { tensor, padding } = padded(task, window, 'zero')
  const weight = weightTensor(task, { shape: w, order: isDepthwise ? DEPTHWISE : OHWI })
  const [[strideH, strideW], [dilationH, dilationW]] = [window.strides, window.dilations]
  const options = {
    padding: PADDING[padding],
    strideH,
    strideW,
    dilationH,
    dilationW,
    activation: ACTIVATION[task.activation],
    ...(isDepthwise ? { depthMultiplier: (w[0] as number) / group } : {}),
  }
  const inputs = [tensor, weight, biasTensor(task, w[0] as number)]
  const type = isDepthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D'
  lowering.builder.op(type, inputs, [lowering.define(task.result, task.form, NHWC)], options)
}

/** x · W + b with a constant matrix: FULLY_CONNECTED, whose weight is [outputs, inputs]. */
export const gemm: Translate = (task) => {
  const { attrs } = task
  const isPlain = (attrs.alpha ?? 1) === 1 && (attrs.beta ?? 1) === 1 && !attrs.transA
  if (!isPlain) refuse(task, 'FULLY_CONNECTED knows no alpha, beta and transA')
  fullyConnected(task, attrs.transB ? [0, 1] : [1, 0])
}

export const matmul: Translate = (task) => {
  const w = task.node.inputs[1]
  const isMatrix = w && task.lowering.isConstant(w) && task.lowering.shape(w).length === 2
  if (!isMatrix) refuse(task, 'FULLY_CONNECTED takes a constant matrix as second operand')
  fullyConnected(task, [1, 0])
}

/** @param order of the weight's axes: outputs, then inputs. */
function fullyConnected(task: Task, order: Order): void {
  const { lowering, form, result } = task
  const x = input(task)
  const rank = lowering.shape(x).length
  const { tensor } = lowering.read(x, form, inOrder(rank))
  const weight = matrixFor(task, order)
  const made = lowering.define(result, form, inOrder(lowering.shape(result).length))
  const inputs = [tensor, weightTensor(task, weight), biasTensor(task, weight.as.shape[0] as number)]
  lowering.builder.op('FULLY_CONNECTED', inputs, [made], {
    activation: ACTIVATION[task.activation],
    ...(rank > 2 ? { keepNumDims: 1 } : {}),
  })
}

/** A weight's dimensions, the order that its elements are stored in, and the dimensions that they are stored under. */
interface Arrangement {
  readonly shape: readonly number[]
  readonly order: Order
  readonly as?: StoredAs
}

/** [outputs, inputs]; where the input is a flattened image in an order of its own, so are the matrix's inputs. */
function matrixFor(task: Task, order: Order): Arrangement & { readonly as: StoredAs } {
  const { lowering } = task
  const own = lowering.shape(input(task, 1))
  const as = { shape: order.map((axis) => own[axis] as number), axis: 0 }
  const image = lowering.flattened(input(task))
  if (!image) return { shape: own, order, as }
  const sizes = image.shape.slice(1)
  const outputsFirst = order[0] === 0
  const shape = outputsFirst ? [own[0] as number, ...sizes] : [...sizes, own[1] as number]
  const places = image.order.slice(1).map((axis) => (outputsFirst ? axis : axis - 1))
  return { shape, order: [outputsFirst ? 0 : sizes.length, ...places], as }
}

function weightTensor(task: Task, { shape, order, as }: Arrangement): number {
  const { lowering, node, form } = task
  const w = input(task, 1)
  if (!lowering.isConstant(w)) refuse(task, `its weight "${w.name}" is computed while the model runs`)
  if (form === 'real') return lowering.spreadConstant(w, node, shape, order, as)
  return lowering.codeConstant(w, weightParams(task), shape, order, as)
}

function weightParams(task: Task): QuantParams {
  const w = input(task, 1)
  const entry = task.lowering.entry(w, task.node)
  return entry ? task.lowering.paramsOf(entry) : refuse(task, `its weight "${w.name}" has no encoding`)
}

/** int32 on the grid scale(input) · scale(weight); zeros where the node adds nothing, since kernels read a bias. */
function biasTensor(task: Task, outputs: number): number {
  const { lowering, node, form } = task
  const bias = node.inputs[2]
  if (bias && !lowering.isConstant(bias)) refuse(task, `its bias "${bias.name}" is computed while the model runs`)
  if (form === 'real') return bias ? realBias(task, bias, outputs) : zeros(task, outputs)
  const scale = biasScales(task)
  const codes = biasCodes(task, bias, scale, outputs)
  if (codes.length !== outputs) refuse(task, `its bias has ${codes.length} numbers, not ${outputs}`)
  return lowering.builder.tensor({
    name: bias?.name ?? `${node.name}_bias`,
    type: 'INT32',
    shape: [outputs],
    quantization: { scale, zeroPoint: scale.map(() => 0), axis: 0 },
    data: bytesOf(Int32Array.from(codes)),
  })
}

function biasScales(task: Task): number[] {
  const x = must(task.lowering.encoding(input(task)), 'encoding of the input')
  return weightParams(task).scale.map((sw) => Math.fround((x.scale[0] as number) * sw))
}

function biasCodes(
  task: Task,
  bias: Value | null | undefined,
  scale: readonly number[],
  outputs: number,
): ArrayLike<number> {
  if (!bias) return new Int32Array(outputs)
  const { lowering, node } = task
  const numbers = must(bias.constant, 'bias').numbers()
  const entry = lowering.entry(bias, node)
  if (entry?.source.kind === 'bias') return quantize(numbers, lowering.paramsOf(entry), [...lowering.shape(bias)])
  const codes = Array.from(numbers, (b, i) => roundHalfEven(b / (scale[i % scale.length] as number)))
  if (codes.some((q) => Math.abs(q) >= 2 ** 31)) refuse(task, `its bias "${bias.name}" leaves int32`)
  return codes
}

function realBias(task: Task, bias: Value, outputs: number): number {
  const { lowering, node } = task
  const shape = lowering.shape(bias)
  if (shape.reduce((n, d) => n * d, 1) !== outputs) refuse(task, `its bias has shape [${shape.join(', ')}]`)
  return lowering.realConstant(bias, node, [shape.length - 1])
}

function zeros({ lowering }: Task, outputs: number): number {
  const data = new Uint8Array(4 * outputs)
  return lowering.builder.constant(`zeros ${outputs}`, () => ({
    name: 'zeros',
    type: 'FLOAT32',
    shape: [outputs],
    data,
  }))
}
