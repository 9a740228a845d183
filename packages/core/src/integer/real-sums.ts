import { attribute, GraphBuilder, type Node, replaceAllUses, Tensor, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { activationCodes, type Codes, type Requantizer, requantizerOf } from './quantizers.ts'
import { biasOf, exactSum, operandsOf, perChannel } from './sums.ts'
import { boundsInSteps, onUnitScale } from './unit-scale.ts'

const FLOAT = { to: attribute.int(1) }

/** Operators that move codes and whose kernels take them as they are, so that no quantizer stands behind. */
const MOVERS: ReadonlySet<string> = new Set(['Transpose', 'MaxPool'])

interface Residual {
  readonly add: Node
  readonly other: Codes
  readonly requantizer: Requantizer
}

/**
 * Rewrites a Conv, Gemm or MatMul as OpenVINO's CPU kernels compute it: (sum · scale + bias) · factor, rounded to float32 at each step.
 *
 * Its low precision transformations take the scale s of a residual branch out of the Add, (sum · scale + bias) · (1/s) + codes, and
 * divide the quantizer's bounds by s; the Add runs in the same kernel.
 */
export function realSum(node: Node): void {
  dequantizeBehindMover(node)
  const operands = operandsOf(node)
  if (!operands) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const scaled = b.op('Mul', [exactSum(b, node, operands), perChannel(b, node, operands.scale)])
  const bias = biasOf(node)
  const sum = bias ? b.op('Add', [scaled, perChannel(b, node, bias)]) : scaled
  const residual = residualOf(node)
  const requantizer = requantizerOf(node)
  replaceAllUses(must(node.outputs[0], 'output'), sum)
  if (residual) addResidual(sum, residual)
  else if (requantizer) multiplyBehind(requantizer, 1)
}

/** Transpose(DequantizeLinear(codes)) becomes DequantizeLinear(Transpose(codes)). */
function dequantizeBehindMover(node: Node): void {
  const mover = node.inputs[0]?.producer
  const x = mover && MOVERS.has(mover.opType) ? activationCodes(mover.inputs[0]) : undefined
  if (!mover || !x) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const codes = b.op(mover.opType, [x.codes], Object.fromEntries(mover.attributes))
  node.setInput(0, b.op('DequantizeLinear', [codes, ...x.dequantizer.inputs.slice(1)]))
}

/** The Add that reads the sum alone, and codes beside it. */
function residualOf(node: Node): Residual | undefined {
  const [sum] = node.outputs
  const add = sum?.useCount === 1 && !node.graph?.isOutput(sum) ? sum.consumers()[0] : undefined
  if (add?.opType !== 'Add') return undefined
  const other = activationCodes(add.inputs.find((input) => input !== sum))
  const requantizer = requantizerOf(add)
  return other && requantizer && { add, other, requantizer }
}

function addResidual(sum: Value, { add, other, requantizer }: Residual): void {
  const b = new GraphBuilder(must(add.graph, 'graph'), { before: add })
  const scale = other.scale[0] as number
  const codes = b.op('Sub', [b.op('Cast', [other.codes], FLOAT), scalar(b, other.zeroPoint[0] as number)])
  const inSteps = b.op('Mul', [sum, scalar(b, Math.fround(1 / scale))])
  replaceAllUses(must(add.outputs[0], 'output'), b.op('Add', [inSteps, codes]))
  if (requantizer.clip) boundsInSteps(requantizer.clip, scale, b)
  multiplyBehind(requantizer, scale)
}

/**
 * FakeQuantize multiplies by 255/(high − low) and adds the distance of its lowest code from zero before it rounds: signed codes, too, are
 * made unsigned.
 * @param unit what one means in the values that come in.
 */
function multiplyBehind(requantizer: Requantizer, unit: number): void {
  const { quantizer, scale, zeroPoint } = requantizer
  const zero = zeroPoint?.numbers()[0] ?? 0
  const lowest = (zeroPoint?.dtype === 'int8' ? -128 : 0) - zero
  const [low, high] = [lowest, lowest + 255].map((code) => Math.fround(code * scale)) as [number, number]
  const factor = Math.fround(255 / Math.fround(Math.fround(high - low) / unit))
  const b = new GraphBuilder(must(quantizer.graph, 'graph'), { before: quantizer })
  const steps = b.op('Mul', [must(quantizer.inputs[0], 'values'), scalar(b, factor)])
  const shift = scalar(b, lowest)
  quantizer.setInput(0, lowest === 0 ? steps : b.op('Add', [b.op('Sub', [steps, shift]), shift]))
  onUnitScale({ ...requantizer, clip: undefined }, b)
}

const scalar = (b: GraphBuilder, value: number): Value => b.constant('number', Tensor.float32([], [value]))
