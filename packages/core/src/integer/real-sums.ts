import { GraphBuilder, type Node, replaceAllUses, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { shiftSteps, stepsOf, toSteps } from './fake-quantize.ts'
import { FLOAT, scalar } from './fused.ts'
import { activationCodes, type Codes, type Requantizer, requantizerOf } from './quantizers.ts'
import { biasOf, exactSum, operandsOf, perChannel } from './sums.ts'
import { boundsInSteps } from './unit-scale.ts'

/** Operators that move codes and whose kernels take them as they are, so that no quantizer stands behind. */
const MOVERS: ReadonlySet<string> = new Set(['Transpose', 'MaxPool'])

/** A node's sums of products of codes, and what takes them to real values. */
interface Sum {
  readonly b: GraphBuilder
  readonly node: Node
  readonly whole: Value
  /** For each output channel, or one for all. */
  readonly scale: readonly number[]
  readonly bias: ArrayLike<number> | undefined
}

interface Residual {
  readonly add: Node
  readonly other: Codes
  readonly requantizer: Requantizer
}

/**
 * Rewrites a Conv, Gemm or MatMul as OpenVINO's CPU kernels compute it, rounded to float32 at each step: sum · scale + bias, then the
 * arithmetic of FakeQuantize. Without a bias nothing stands between the scale and the quantizer, which takes it into its factor.
 *
 * Its low precision transformations take the scale of a residual branch out of the Add, which then runs on that branch's codes in the
 * same kernel.
 */
export function realSum(node: Node): void {
  dequantizeBehindMover(node)
  const operands = operandsOf(node)
  if (!operands) return
  const residual = residualOf(node)
  const requantizer = requantizerOf(node)
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const bias = biasOf(node)
  const sum = { b, node, whole: exactSum(b, node, operands), scale: operands.scale, bias }
  if (residual) addResidual(residual, branchInSteps(sum, residual.other))
  else if (requantizer && !bias && requantizer.clip?.opType !== 'Clip') scaleToSteps(sum, requantizer)
  else {
    replaceAllUses(must(node.outputs[0], 'output'), realValue(sum))
    if (requantizer) toSteps(requantizer, 1)
  }
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

function realValue({ b, node, whole, scale, bias }: Sum): Value {
  const scaled = b.op('Mul', [whole, perChannel(b, node, scale)])
  return bias ? b.op('Add', [scaled, perChannel(b, node, bias)]) : scaled
}

/** One factor for each channel takes sums to steps; a Relu stays between, in front of the shift. */
function scaleToSteps({ b, node, whole, scale }: Sum, requantizer: Requantizer): void {
  const steps = scale.map((unit) => stepsOf(requantizer, unit))
  const { factor, shift } = must(steps[0], 'steps')
  const factors = steps.map((s) => s.factor)
  const output = must(node.outputs[0], 'output')
  if (factors.every((f) => f === factor)) {
    replaceAllUses(output, whole)
    toSteps(requantizer, scale[0] as number)
  } else {
    replaceAllUses(output, b.op('Mul', [whole, perChannel(b, node, factors)]))
    // One shift serves all channels: theirs differ by rounding only.
    shiftSteps(requantizer, shift)
  }
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

/**
 * The sum in steps s of the codes beside it, which stay as they are: their zero point z goes to this side, as s · z in real values or,
 * without a bias, in units of the sum.
 */
function branchInSteps(sum: Sum, other: Codes): Value {
  const { b, node, whole, scale, bias } = sum
  const s = other.scale[0] as number
  const shift = Math.fround(s * (other.zeroPoint[0] as number))
  const less = (x: Value, y: Value): Value => (shift === 0 ? x : b.op('Sub', [x, y]))
  if (bias) return b.op('Mul', [less(realValue(sum), scalar(b, shift)), scalar(b, Math.fround(1 / s))])
  const [shifts, factors] = [scale.map((k) => shift / k), scale.map((k) => k / s)]
  return b.op('Mul', [less(whole, perChannel(b, node, shifts)), perChannel(b, node, factors)])
}

function addResidual({ add, other, requantizer }: Residual, steps: Value): void {
  const b = new GraphBuilder(must(add.graph, 'graph'), { before: add })
  const scale = other.scale[0] as number
  replaceAllUses(must(add.outputs[0], 'output'), b.op('Add', [steps, b.op('Cast', [other.codes], FLOAT)]))
  if (requantizer.clip) boundsInSteps(requantizer.clip, scale, b)
  toSteps(requantizer, scale)
}
