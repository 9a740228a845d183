import type { Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { KernelPen } from './pen.ts'

/**
 * Conv, Gemm and MatMul as MLAS computes them: sums of products of codes, exact in float32 below 2^24 in any order, a bias in steps of
 * the sum, and one product with float32(scale(x) · scale(w)) / scale(y), rounded once.
 *
 * Rounding what is whole already keeps optimizers from moving bias and factor into the layer's constants.
 */
export function sumOnCodes(pen: KernelPen): Value {
  const { operands, bias, output } = pen.site
  const [x, w] = [must(operands[0], 'data'), must(operands[1], 'weight')]
  const step = pen.op('Mul', pen.scale(x), pen.shaped(pen.scale(w), [-1]))
  const biasCodes = bias && pen.op('Round', pen.op('Div', pen.shaped(bias, [-1]), step))
  const factor = output === undefined ? step : pen.op('Div', step, pen.grids.scale(output))
  const [spreadBias, spreadFactor] = [biasCodes && pen.overChannels(biasCodes), pen.overChannels(factor)]
  const whole = pen.op('Round', pen.run(pen.codes(x), pen.codes(w)))
  const steps = pen.op('Mul', spreadBias ? pen.op('Add', whole, spreadBias) : whole, spreadFactor)
  return output === undefined ? steps : pen.onGrid(steps, pen.grids.scale(output))
}
