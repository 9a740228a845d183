import { Tensor } from '../ir/index.ts'
import { toInput } from '../ops/index.ts'
import { broadcastable, MIN_SCALE } from '../quant/index.ts'
import { arithmeticOf } from './arithmetic.ts'
import type { FakeQuantizer } from './define.ts'
import { type GradientScale, gradientScaleOption } from './gradient-options.ts'
import { gradientFactor, signOf, times } from './gradient-pieces.ts'
import { normalizedOps } from './normalized-op.ts'
import {
  type Gain,
  gainOption,
  magnitudes,
  mapChannels,
  ofChannel,
  storedScale,
  zeroOfWeights,
} from './normalized-weights.ts'
import { GRADIENT_SCALE, opIn } from './uniform-op.ts'
import { codeAttributes, gradientScaleAttribute, uniformParams } from './uniform-state.ts'

export interface QilOptions {
  readonly gain: Gain
  readonly learnGamma: boolean
  readonly gradientScale: GradientScale
}

/** Beyond, the slope at the lower end has no bound. */
const LEAST_GAMMA = 0.1

const INPUTS = { centre: 4, width: 5, gamma: 6 } as const

/**
 * weights = gain · sign(x) · u^γ, u = clip(½·(|x| − c)/d + ½, 0, 1): below c − d pruned, beyond c + d clipped. Then an even grid, whose rounding
 * passes gradients; they are those of this formula, and those by c, d and γ are multiplied by the gradient scale.
 */
const QIL_OPS = normalizedOps({
  base: 'Qil',
  inputs: ['gain', ...Object.keys(INPUTS)],
  attrs: GRADIENT_SCALE.attrs,
  header: GRADIENT_SCALE.header,
  lines: [
    'half = Constant<value_float = 0.5>()',
    'none = Constant<value_float = 0.0>()',
    'one = Constant<value_float = 1.0>()',
    'sizes = Abs(x)',
    'signs = Sign(x)',
    'from = Sub(sizes, centre)',
    `narrowest = Constant<value_float = ${MIN_SCALE}>()`,
    'width_size = Abs(width)',
    'spread = Max(width_size, narrowest)',
    `bend_least = Constant<value_float = ${LEAST_GAMMA}>()`,
    'bend = Max(gamma, bend_least)',
    'relative = Div(from, spread)',
    'halved = Mul(relative, half)',
    'raised_half = Add(halved, half)',
    'unit = Clip(raised_half, none, one)',
    'powers = Pow(unit, bend)',
    'signed = Mul(powers, signs)',
    'weights = Mul(signed, gain)',
  ],
  gradients(cx, pass) {
    const { g } = cx
    const centre = cx.x(INPUTS.centre)
    const width = g.op('Max', [g.op('Abs', [cx.x(INPUTS.width)]), MIN_SCALE])
    const gamma = g.op('Max', [cx.x(INPUTS.gamma), LEAST_GAMMA])
    const signs = g.op('Sign', [cx.x(0)])
    const from = g.sub(g.op('Abs', [cx.x(0)]), centre)
    const free = g.add(g.mul(g.div(from, width), 0.5), 0.5)
    const unit = g.op('Clip', [free, 0, 1])
    const isInside = g.op('And', [g.greater(free, 0), g.less(free, 1)])
    const dSigned = g.mul(pass(), g.mul(signs, cx.x(3)))
    const slope = g.mul(gamma, g.op('Pow', [unit, g.sub(gamma, 1)]))
    const dFree = g.where(isInside, g.mul(dSigned, slope), 0)
    const perWidth = g.div(0.5, width)
    const { gradient_scale, quant_max } = cx.attrs
    const to = (i: number, elements: typeof free) =>
      times(cx, toInput(cx, i, elements), gradientFactor(cx, i, gradient_scale as GradientScale, quant_max))
    const byWidth = () => g.neg(g.mul(dFree, g.mul(g.div(from, width), perWidth)))
    const byGamma = () => g.where(isInside, g.mul(dSigned, g.mul(g.op('Pow', [unit, gamma]), g.op('Log', [unit]))), 0)
    return [
      cx.wanted(0) ? g.mul(g.mul(dFree, perWidth), signs) : null,
      ...[null, null, null],
      cx.wanted(INPUTS.centre) ? to(INPUTS.centre, g.neg(g.mul(dFree, perWidth))) : null,
      cx.wanted(INPUTS.width) ? g.mul(to(INPUTS.width, byWidth()), signOf(cx, cx.x(INPUTS.width))) : null,
      cx.wanted(INPUTS.gamma) ? to(INPUTS.gamma, byGamma()) : null,
    ]
  },
})

/**
 * The interval of magnitudes that is quantized is trained. See docs/fake-quantizers/qil.md.
 *
 * For weights only: what it makes of activations has other steps before rounding than behind it, which no kernel that reads one scale has.
 */
export const qil: FakeQuantizer<QilOptions> = {
  name: 'qil',
  title: 'quantization interval learning',
  summary: 'trains which weights are pruned and which are clipped; what lies between is quantized',
  source: 'Jung et al. 2019, arXiv:1808.05779',
  options: {
    gain: gainOption,
    learnGamma: { summary: 'the exponent that bends the interval is trained; otherwise it stays 1', default: true },
    gradientScale: gradientScaleOption('features'),
  },
  roles: ['weight'],
  ops: QIL_OPS,
  init(cx, { gain, learnGamma, gradientScale }) {
    const { params, shape, role } = cx
    const { spec } = params
    const zero = zeroOfWeights(params)
    const reach = spec.quantMax - zero
    const largest = magnitudes(cx)
    const scales = largest.map((m) => storedScale((gain === 'keep' ? m : 1) / reach, spec))
    // Where the scale is rounded, the interval ends with the grid.
    const gains = scales.map((s, i) => (spec.powerOfTwo || gain === 'unit' ? s * reach : (largest[i] as number)))
    const halves = (gain === 'keep' ? gains : largest).map((m) => m / 2)
    const input = (name: string, values: readonly number[], trained: boolean) => {
      return { name, initial: broadcastable(values, spec.granularity, shape, name), trained }
    }
    return {
      op: opIn(QIL_OPS, 'Qil', { arithmetic: arithmeticOf(spec), perChannel: false }),
      inputs: [
        input('scale', scales, false),
        { name: 'zero_point', initial: Tensor.float32([], [zero]), trained: false },
        input('gain', gains, false),
        input('centre', halves, true),
        input('width', halves, true),
        { name: 'gamma', initial: Tensor.float32([], [1]), trained: learnGamma },
      ],
      attributes: {
        ...codeAttributes(spec),
        ...gradientScaleAttribute(gradientScale, role),
      },
    }
  },
  toParams: uniformParams,
  deployedWeights: (weights, { granularity }, state) =>
    mapChannels(weights, granularity, (_, p) => {
      const [gain, centre] = [ofChannel(state, 'gain', p), ofChannel(state, 'centre', p)]
      const width = Math.max(Math.abs(ofChannel(state, 'width', p)), MIN_SCALE)
      const gamma = Math.max(ofChannel(state, 'gamma', p), LEAST_GAMMA)
      return (x) => {
        const unit = Math.min(Math.max((0.5 * (Math.abs(x) - centre)) / width + 0.5, 0), 1)
        return Math.fround(unit ** gamma) * Math.sign(x) * gain
      }
    }),
}
