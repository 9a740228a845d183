import { Tensor } from '../ir/index.ts'
import { defineOp, type OpDef } from '../ops/index.ts'
import { broadcastable, MIN_SCALE, type QuantSpec, withoutHeadroom } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { ARITHMETICS, type Arithmetic, arithmeticOf } from './arithmetic.ts'
import { type FakeQuantizer, QAT_DOMAIN } from './define.ts'
import { type GradientScale, gradientScaleOption, type Mask, maskOption } from './gradient-options.ts'
import { times } from './gradient-pieces.ts'
import { atLeastMinScale, scalar } from './scale-nodes.ts'
import { attributeLine, functionText, gridLines } from './uniform-body.ts'
import {
  GRADIENT_ATTRIBUTES,
  likeInput,
  opIn,
  QUANTIZER_TRAITS,
  typeIn,
  type UniformForm,
  UniformGradient,
  uniformAttrs,
} from './uniform-op.ts'
import { codeAttributes, gradientAttributes, numbersOf } from './uniform-state.ts'

export interface TqtOptions {
  readonly scale: 'power-of-two' | 'real'
  readonly learn: boolean
  readonly mask: Mask
  readonly gradientScale: GradientScale
}

const BASES = { 'power-of-two': 'TqtPowerOfTwo', real: 'Tqt' } as const

const formOf = (arithmetic: Arithmetic): UniformForm => ({ arithmetic, perChannel: false })

/**
 * x, log2_scale, zero_point → y on a symmetric grid of step s = 2^⌈p⌉ (Jain et al., section 3.1; Vitis), or s = 2^p (MegEngine's kernel).
 *
 *     inside: dx = g, dp = g·(y − x)·ln 2;    clipped: dx = 0, dp = g·y·ln 2                (equations 6 to 8, rounding up passed through)
 */
const tqtOp = (base: string, arithmetic: Arithmetic): OpDef => {
  const form = formOf(arithmetic)
  const type = typeIn(base, form)
  const inputs = ['x', 'log2_scale', 'zero_point']
  const required = ['quant_min', 'quant_max']
  const exponent = base === BASES.real ? 'Identity' : 'Ceil'
  const lines = [
    ...required.map(attributeLine),
    ...[`least = Constant<value_float = ${MIN_SCALE}>()`, 'two = Constant<value_float = 2.0>()'],
    ...[`exponent = ${exponent}(log2_scale)`, 'power = Pow(two, exponent)', 'step = Max(power, least)'],
    ...['zero = Identity(zero_point)', ...gridLines(form)],
  ]
  return defineOp({
    ...{ type, domain: QAT_DOMAIN, since: [1], inputs, outputs: ['y'], attrs: uniformAttrs, infer: likeInput },
    quant: QUANTIZER_TRAITS,
    body: functionText({ type, inputs, required, optional: GRADIENT_ATTRIBUTES, lines }),
    grad(cx) {
      const { g } = cx
      const dy = cx.dy(0)
      if (!dy) return []
      const step = g.op('Max', [g.op('Pow', [2, g.op(exponent, [cx.x(1)])]), MIN_SCALE])
      const grid = new UniformGradient(cx, form, step)
      const byExponent = () => times(cx, g.mul(grid.moved(dy), Math.LN2), grid.factor(1))
      return [cx.wanted(0) ? grid.byX(dy) : null, cx.wanted(1) ? byExponent() : null]
    },
  }) as unknown as OpDef
}

/**
 * Where an exponent that is rounded up begins. A whole one, as scales of targets that shift have it, would double its scale at the first step
 * upward, however small: the middle of those that round up to it is as far from the next on both sides.
 */
const startOf = (exponent: number, scale: TqtOptions['scale']): number =>
  scale === 'power-of-two' && Number.isInteger(exponent) ? exponent - 0.5 : exponent

const TQT_OPS = Object.values(BASES).flatMap((base) => ARITHMETICS.map((arithmetic) => tqtOp(base, arithmetic)))

/**
 * Trains the logarithm of the threshold. See docs/fake-quantizers/tqt.md.
 *
 * MQBench's quantizer of this name never trains it, and rounds ties of negative activations up and of positive ones to even; here ties are
 * rounded as the target does.
 */
export const tqt: FakeQuantizer<TqtOptions> = {
  name: 'tqt',
  title: 'trained quantization thresholds',
  summary: 'trains the logarithm of scales, which stay powers of two: for targets that shift instead of multiply',
  source: 'Jain et al. 2020, arXiv:1903.08066',
  options: {
    scale: {
      summary: 'scales are powers of two, the trained exponent rounded up, or real numbers, 2 to its power',
      default: 'power-of-two',
      choices: ['power-of-two', 'real'],
    },
    learn: { summary: 'thresholds are trained; otherwise they stay as calibrated', default: true },
    mask: maskOption('rounded'),
    gradientScale: gradientScaleOption('none'),
  },
  roles: ['weight', 'activation'],
  ops: TQT_OPS,
  obstacle(spec, _, { scale }) {
    if (!spec.symmetric) return 'tqt trains symmetric thresholds, and this target has zero points here'
    if (spec.powerOfTwo && scale === 'real') return 'scales are powers of two on this target: leave scale=real out'
    return undefined
  },
  init({ params, shape, role }, { scale, learn, mask, gradientScale }) {
    const { spec } = params
    const exponents = params.scale.map((s) => startOf(Math.log2(s), scale))
    return {
      op: opIn(TQT_OPS, BASES[scale], formOf(arithmeticOf(spec))),
      inputs: [
        {
          name: 'log2_scale',
          initial: broadcastable(exponents, spec.granularity, shape, 'log2_scale'),
          trained: learn,
        },
        { name: 'zero_point', initial: Tensor.float32([], [params.zeroPoint[0] ?? 0]), trained: false },
      ],
      attributes: {
        ...codeAttributes(spec),
        ...gradientAttributes({ mask, gradientScale }, role),
      },
    }
  },
  toParams(planned: QuantSpec, state, { scale }) {
    const spec = withoutHeadroom(planned)
    const power = (p: number) => Math.fround(2 ** (scale === 'real' ? p : Math.ceil(p)))
    const scales = numbersOf(state, 'log2_scale').map((p) => Math.max(power(p), MIN_SCALE))
    const [zero = 0] = numbersOf(state, 'zero_point')
    return { spec, scale: scales, zeroPoint: scales.map(() => zero) }
  },
  writeScale(sink, inputs, _, { scale }) {
    const log2 = must(inputs.log2_scale, 'log2_scale')
    const exponent = scale === 'real' ? log2 : sink.op('Ceil', [log2])
    return atLeastMinScale(sink, sink.op('Pow', [scalar(sink, 'two', 2), exponent]))
  },
}
