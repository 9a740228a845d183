import { Tensor } from '../ir/index.ts'
import { attrs, defineOp, type OpDef } from '../ops/index.ts'
import { MIN_SCALE, powerOfTwo, type QuantSpec } from '../quant/index.ts'
import type { OptionSpec } from '../util/index.ts'
import { QAT_DOMAIN, type QuantizerInput } from './define.ts'
import { signOf } from './gradient-pieces.ts'
import { attributeLine, functionText } from './uniform-body.ts'
import { likeInput, QUANTIZER_TRAITS } from './uniform-op.ts'

/** What a trained scale may be: powers of two where the target shifts, and real numbers elsewhere; or one of both anywhere. */
export type ScaleKind = 'target' | 'power-of-two' | 'real'

/** Options of quantizers whose scales are rounded to powers of two where that is wanted. */
export interface ScaleOptions {
  readonly scale: ScaleKind
}

export const scaleOption: OptionSpec<ScaleKind> = {
  summary: 'scales are powers of two, rounded to in the forward pass, or real numbers, or what the target has',
  default: 'target',
  choices: ['target', 'power-of-two', 'real'],
}

export const isPowerOfTwo = (spec: QuantSpec, { scale }: ScaleOptions): boolean =>
  scale === 'power-of-two' || (scale === 'target' && spec.powerOfTwo !== undefined)

export const realScaleObstacle = (spec: QuantSpec, _: unknown, { scale }: ScaleOptions): string | undefined =>
  spec.powerOfTwo && scale === 'real' ? 'scales are powers of two on this target: leave scale=real out' : undefined

/** The input as it is read where scales are powers of two: a multiple of one, by so many steps. */
export const readAsPowerOfTwo = (input: QuantizerInput, steps = 1): QuantizerInput => ({ ...input, powerOfTwo: steps })

/** √2 lies between this number and the float32 number below it. */
const ABOVE_ROOT = Math.fround(Math.SQRT2) + 2 ** -23

/**
 * x → y = n · 2^round(log2(|x| / n)), n being `steps`. A logarithm that is off by its rounding errors gives the power below or above, and what
 * is left of x says which is nearest: exact, as `powerOfTwo` is. Rounding the logarithm passes gradients: dx = g · y / |x| · sign(x), as
 * `pot_quantization` of MQBench.
 */
export const POWER_OF_TWO_OP = defineOp({
  ...{ type: 'PowerOfTwo', domain: QAT_DOMAIN, since: [1], inputs: ['x'], outputs: ['y'], infer: likeInput },
  attrs: { steps: attrs.float() },
  quant: QUANTIZER_TRAITS,
  body: functionText({
    ...{ type: 'PowerOfTwo', inputs: ['x'], required: ['steps'] },
    lines: [
      attributeLine('steps'),
      `least = Constant<value_float = ${MIN_SCALE}>()`,
      `unit = Constant<value_float = ${Math.LN2}>()`,
      'two = Constant<value_float = 2.0>()',
      `root = Constant<value_float = ${ABOVE_ROOT}>()`,
      ...['size = Abs(x)', 'share = Div(size, steps)', 'scale = Max(share, least)'],
      ...['log = Log(scale)', 'log2 = Div(log, unit)', 'exponent = Floor(log2)', 'below = Pow(two, exponent)'],
      ...['rest = Div(scale, below)', 'isUp = GreaterOrEqual(rest, root)', 'above = Mul(below, two)'],
      ...['power = Where(isUp, above, below)', 'y = Mul(power, steps)'],
    ],
  }),
  grad(cx) {
    const { g } = cx
    const dy = cx.dy(0)
    if (!dy || !cx.wanted(0)) return []
    const size = g.op('Max', [g.op('Abs', [cx.x(0)]), cx.attrs.steps * MIN_SCALE])
    return [g.mul(g.mul(dy, g.div(cx.y(0), size)), signOf(cx, cx.x(0)))]
  },
}) as unknown as OpDef

/** What the operator makes of a parameter. */
export function roundedToPowerOfTwo(parameter: Tensor, steps: number): Tensor {
  const round = (x: number) =>
    Math.fround(steps * powerOfTwo(Math.max(Math.fround(Math.abs(x) / steps), MIN_SCALE), 'round'))
  return Tensor.float32(parameter.dims, Float32Array.from(parameter.numbers(), round))
}
