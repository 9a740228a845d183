import { GraphBuilder, type Node, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { multiplyAdd, scalar } from './fused.ts'
import type { Requantizer } from './quantizers.ts'
import { onUnitScale } from './unit-scale.ts'

/** FakeQuantize as OpenVINO's kernels run it: a factor and a shift that take values to codes counted from the lowest, in float32. */
export interface Steps {
  readonly factor: number
  /** Not quite the distance of the lowest code from zero, which rounding moves off the whole number. */
  readonly shift: number
}

/** Lowest code of the quantizer, counted from its zero point. */
function lowestCode({ zeroPoint }: Requantizer): number {
  return (zeroPoint?.dtype === 'int8' ? -128 : 0) - (zeroPoint?.numbers()[0] ?? 0)
}

/**
 * 255/(high − low) and −low · 255/(high − low).
 * @param unit what one means in the values that come in; the bounds are divided by it.
 */
export function stepsOf(requantizer: Requantizer, unit: number): Steps {
  const lowest = lowestCode(requantizer)
  const [low, high] = [lowest, lowest + 255].map((code) =>
    Math.fround(Math.fround(code * requantizer.scale) / unit),
  ) as [number, number]
  const width = Math.fround(high - low)
  return { factor: Math.fround(255 / width), shift: Math.fround(Math.fround(-low * 255) / width) }
}

/**
 * Real values to steps. Codes that start at zero are left to oneDNN's scale of the result, one over the factor, which it inverts once
 * more; others are multiplied and shifted in one instruction.
 */
export function toSteps(requantizer: Requantizer, unit: number): void {
  const { factor, shift } = stepsOf(requantizer, unit)
  const b = behind(requantizer)
  const values = valuesOf(requantizer)
  if (lowestCode(requantizer) === 0) round(requantizer, b.op('Mul', [values, scalar(b, inverseTwice(factor))]), b)
  else round(requantizer, multiplyAdd(b, values, factor, scalar(b, shift)), b)
}

/** Values that are in steps already, but for the shift. */
export function shiftSteps(requantizer: Requantizer, shift: number): void {
  const b = behind(requantizer)
  const values = valuesOf(requantizer)
  round(requantizer, lowestCode(requantizer) === 0 ? values : b.op('Add', [values, scalar(b, shift)]), b)
}

const inverseTwice = (factor: number): number => Math.fround(1 / Math.fround(1 / factor))

const behind = ({ quantizer }: Requantizer): GraphBuilder =>
  new GraphBuilder(must(quantizer.graph, 'graph'), { before: quantizer })

const valuesOf = ({ quantizer }: { quantizer: Node }): Value => must(quantizer.inputs[0], 'values')

/** Rounds here, ties to even, since taking the shift off again would round once more; the quantizer only clips. */
function round(requantizer: Requantizer, steps: Value, b: GraphBuilder): void {
  const lowest = lowestCode(requantizer)
  const codes = lowest === 0 ? steps : b.op('Add', [b.op('Round', [steps]), scalar(b, lowest)])
  requantizer.quantizer.setInput(0, codes)
  onUnitScale({ ...requantizer, clip: undefined }, b)
}
