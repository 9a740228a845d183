import type { Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { KernelPen } from './pen.ts'
import type { Operand } from './site.ts'

/** The grid of the result. */
function resultOf(pen: KernelPen): { readonly scale: Value; readonly zero: Value } {
  const group = must(pen.site.output, 'group of the result')
  return { scale: pen.grids.scale(group), zero: zeroOf(pen, group) }
}

const zeroOf = ({ grids }: KernelPen, group: string): Value =>
  must(grids.unsignedZero(group), `zero point of "${group}"`)

/**
 * Add as MLAS computes it, on raw codes: a · ra + (b · rb + c) with r = scale/scale(y), where c = z(y) − (ra · z(a) + rb · z(b)). Both are
 * fused multiply-adds, rounded to float32 once: the product of two float32 numbers is exact in float64.
 */
export function addOnCodes(pen: KernelPen): Value {
  const [a, b] = [must(pen.site.operands[0], 'operand'), must(pen.site.operands[1], 'operand')]
  const { scale, zero } = resultOf(pen)
  const ratio = (o: Operand) => pen.op('Div', pen.scale(o), scale)
  const [ra, rb] = [ratio(a), ratio(b)]
  const [za, zb] = [zeroOf(pen, a.group), zeroOf(pen, b.group)]
  const shift = pen.op('Sub', zero, pen.op('Add', pen.op('Mul', ra, za), pen.op('Mul', rb, zb)))
  const product = (o: Operand, z: Value, r: Value) =>
    pen.op('Mul', pen.double(pen.op('Add', pen.codes(o), z)), pen.double(r))
  const inner = pen.float(pen.op('Add', product(b, zb, rb), pen.double(shift)))
  const sum = pen.run(product(a, za, ra), pen.double(inner))
  return pen.op('Mul', pen.op('Sub', pen.op('Round', pen.float(sum)), zero), scale)
}

/** Mul as MLAS computes it: the product of codes less their zero points, by scale(a) · scale(b) / scale(y), and then the zero point. */
export function mulOnCodes(pen: KernelPen): Value {
  const [a, b] = [must(pen.site.operands[0], 'operand'), must(pen.site.operands[1], 'operand')]
  const { scale, zero } = resultOf(pen)
  const factor = pen.op('Div', pen.op('Mul', pen.scale(a), pen.scale(b)), scale)
  const product = pen.op('Mul', pen.run(pen.codes(a), pen.codes(b)), factor)
  return pen.op('Mul', pen.op('Sub', pen.op('Round', pen.op('Add', product, zero)), zero), scale)
}

/** GlobalAveragePool as MLAS computes it: the sum of codes by scale(x) / (scale(y) · n). */
export function meanOnCodes(pen: KernelPen): Value {
  const x = must(pen.site.operands[0], 'data')
  const { scale } = resultOf(pen)
  const codes = pen.codes(x)
  const size = (value: Value) => pen.float(pen.op('Size', value))
  const mean = pen.run(codes)
  const count = pen.op('Div', size(codes), size(mean))
  const sum = pen.op('Round', pen.op('Mul', mean, count))
  return pen.onGrid(pen.op('Mul', sum, pen.op('Div', pen.scale(x), pen.op('Mul', scale, count))), scale)
}

/**
 * Softmax as ONNX Runtime computes it: a row of exponentials of codes, by ⌊1 / scale(y)⌋ and not by 1 / scale(y). Exponentials come from a
 * table in float64 there, so that here some results err by float32.
 */
export function softmaxInSteps(pen: KernelPen): Value {
  const { scale } = resultOf(pen)
  const steps = pen.op('Floor', pen.op('Div', pen.number(1), scale))
  const shares = pen.run(must(pen.site.operands[0], 'data').value)
  return pen.onGrid(pen.op('Mul', shares, steps), scale)
}
