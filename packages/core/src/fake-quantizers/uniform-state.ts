import { type Attribute, attribute, Tensor } from '../ir/index.ts'
import type { OpDef } from '../ops/index.ts'
import { broadcastable, MIN_SCALE, type QuantParams, type QuantSpec, withoutHeadroom } from '../quant/index.ts'
import { must, roundHalfEven } from '../util/index.ts'
import { arithmeticOf } from './arithmetic.ts'
import type { QuantizerCall, QuantizerContext, QuantizerRole, QuantizerState } from './define.ts'
import type { GradientScale, Mask } from './gradient-options.ts'
import { isPowerOfTwo, readAsPowerOfTwo, type ScaleKind } from './power-of-two-scale.ts'
import { opIn } from './uniform-op.ts'

/** How the inputs of a uniform fake-quantizer are treated. */
export interface UniformStart {
  readonly scaleTrained: boolean
  /** Of specs with a zero point; others keep theirs. */
  readonly zeroPointTrained: boolean
  readonly mask: Mask
  readonly gradientScale: GradientScale
  /** Default: as they are. */
  readonly scale?: ScaleKind
}

/** The call of the family `base` that begins with the observed scale and zero point. */
export function uniformCall(
  ops: readonly OpDef[],
  base: string,
  cx: QuantizerContext,
  start: UniformStart,
): QuantizerCall {
  const { params, shape, role } = cx
  const { spec } = params
  const { granularity } = spec
  const tensor = (values: readonly number[], name: string) => broadcastable(values, granularity, shape, name)
  const zeroPointTrained = start.zeroPointTrained && !spec.symmetric
  const zero = params.zeroPoint[0] ?? 0
  const isOne = params.zeroPoint.every((z) => z === zero)
  const zeroPoint = isOne && !zeroPointTrained ? Tensor.float32([], [zero]) : tensor(params.zeroPoint, 'zero_point')
  const scale = { name: 'scale', initial: tensor(params.scale, 'scale'), trained: start.scaleTrained }
  const arithmetic = arithmeticOf(spec)
  // Adding nothing before rounding is adding nothing behind it, which takes fewer steps.
  const addThenRound = arithmetic.addThenRound && (zeroPointTrained || !isOne || zero !== 0)
  const form = { arithmetic: { ...arithmetic, addThenRound }, perChannel: zeroPoint.dims.length > 0 }
  return {
    op: opIn(ops, base, form),
    inputs: [
      isPowerOfTwo(spec, { scale: start.scale ?? 'real' }) ? readAsPowerOfTwo(scale) : scale,
      { name: 'zero_point', initial: zeroPoint, trained: zeroPointTrained },
    ],
    attributes: { ...codeAttributes(spec), ...gradientAttributes(start, role) },
  }
}

export const codeAttributes = ({ quantMin, quantMax }: QuantSpec): Record<string, Attribute> => ({
  quant_min: attribute.float(quantMin),
  quant_max: attribute.float(quantMax),
})

export const gradientAttributes = (
  { mask, gradientScale }: Pick<UniformStart, 'mask' | 'gradientScale'>,
  role: QuantizerRole,
): Record<string, Attribute> => ({ mask: attribute.string(mask), ...gradientScaleAttribute(gradientScale, role) })

/** A weight is one sample: its features are its elements. */
export const gradientScaleAttribute = (rule: GradientScale, role: QuantizerRole) => ({
  gradient_scale: attribute.string(role === 'weight' && rule === 'features' ? 'elements' : rule),
})

/** What the operator of a uniform family computes with, as parameters: the scale's size, the zero point as a code. */
export function uniformParams(planned: QuantSpec, state: QuantizerState): QuantParams {
  const spec = withoutHeadroom(planned)
  const scale = numbersOf(state, 'scale').map(deployedScale)
  const zero = numbersOf(state, 'zero_point').map((z) => clip(roundHalfEven(z), spec.quantMin, spec.quantMax))
  return { spec, scale, zeroPoint: scale.map((_, i) => zero[i] ?? (zero[0] as number)) }
}

export const deployedScale = (scale: number): number => Math.max(Math.abs(scale), MIN_SCALE)

export const numbersOf = (state: QuantizerState, name: string): number[] =>
  Array.from(must(state[name], `input ${name}`).numbers())

const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high)
