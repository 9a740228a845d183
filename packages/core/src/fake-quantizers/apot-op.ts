import type { Value } from '../ir/index.ts'
import { attrs, defineOp, type GradContext, type OpDef, toInput } from '../ops/index.ts'
import { MIN_SCALE } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { divideLines } from './arithmetic.ts'
import { QAT_DOMAIN } from './define.ts'
import type { GradientScale } from './gradient-options.ts'
import { between, gradientFactor, isScalar, signOf, times } from './gradient-pieces.ts'
import { searchLines } from './level-search.ts'
import { functionText, STEP_LINES } from './uniform-body.ts'
import { GRADIENT_SCALE, likeInput, QUANTIZER_TRAITS } from './uniform-op.ts'

export interface LevelForm {
  /** 2^rounds levels at most. */
  readonly rounds: number
  readonly reciprocal: boolean
  readonly normalized: boolean
}

export const levelType = ({ rounds, reciprocal, normalized }: LevelForm): string =>
  `${normalized ? 'ApotNormalized' : 'Apot'}${rounds}${reciprocal ? 'Reciprocal' : ''}`

const levelAttrs = {
  levels: attrs.floats(),
  thresholds: attrs.floats(),
  axes: attrs.ints([]),
  /** Elements that are normalized together, and one less: what variances are divided by. */
  count: attrs.float(1),
  degrees: attrs.float(1),
  ...GRADIENT_SCALE.attrs,
}

/** Added to the deviation, as the authors' code does it. */
export const DEVIATION_EPSILON = 1e-5

const NORMALIZING = [
  'axes = Constant<value_ints = @INTS(axes)>()',
  'degrees = Constant<value_float = @FLOAT(degrees)>()',
  `epsilon = Constant<value_float = ${DEVIATION_EPSILON}>()`,
  'total = ReduceSum<keepdims = 1, noop_with_empty_axes = 1>(x, axes)',
  'count = Constant<value_float = @FLOAT(count)>()',
  'mean = Div(total, count)',
  'centred = Sub(x, mean)',
  'squares = Mul(centred, centred)',
  'energy = ReduceSum<keepdims = 1, noop_with_empty_axes = 1>(squares, axes)',
  'variance = Div(energy, degrees)',
  'deviation = Sqrt(variance)',
  'denominator = Add(deviation, epsilon)',
  'unit = Div(centred, denominator)',
  'weights = Mul(unit, gain)',
]

/**
 * x, scale → y = s · the level nearest to w/s, w being x or, normalized, gain · (x − mean)/(σ + 1e-5), σ² over n − 1.
 *
 *     inside the outermost levels: dw = g, ds = g·(y − w)/s;    beyond: dw = 0, ds = g·y/s             (equation 10, with α = s)
 *
 * Mean and deviation count as constants in the backward pass, as in the authors' code: dx = dw · gain / (σ + 1e-5).
 */
export function levelOp(form: LevelForm): OpDef {
  const type = levelType(form)
  const { reciprocal, rounds, normalized } = form
  const inputs = ['x', 'scale', ...(normalized ? ['gain'] : [])]
  const from = normalized ? 'weights' : 'x'
  const lines = [
    'levels = Constant<value_floats = @FLOATS(levels)>()',
    'thresholds = Constant<value_floats = @FLOATS(thresholds)>()',
    ...(normalized ? NORMALIZING : []),
    ...STEP_LINES,
    ...divideLines({ rounding: 'half-even', addThenRound: false, reciprocal }, from, 'step', 'steps'),
    ...searchLines(rounds, 'steps', 'thresholds', 'index'),
    'nearest = Gather(levels, index)',
    'y = Mul(nearest, step)',
  ]
  const optional = ['axes = ints []', 'count = 1.0', 'degrees = 1.0', ...GRADIENT_SCALE.header]
  return defineOp({
    ...{ type, domain: QAT_DOMAIN, since: [1], inputs, outputs: ['y'], attrs: levelAttrs, infer: likeInput },
    quant: QUANTIZER_TRAITS,
    body: functionText({ type, inputs, required: ['levels', 'thresholds'], optional, lines }),
    grad: (cx) => levelGradients(cx, normalized),
  }) as unknown as OpDef
}

function levelGradients(cx: GradContext<typeof levelAttrs>, normalized: boolean) {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  const { levels, gradient_scale } = cx.attrs
  const highest = must(levels.at(-1), 'levels')
  const step = g.op('Max', [g.op('Abs', [cx.x(1)]), MIN_SCALE])
  const [w, slope] = normalized ? normalizing(cx) : [cx.x(0), undefined]
  const [low, high] = [g.mul(step, must(levels[0], 'levels')), g.mul(step, highest)]
  const inside = between(cx, w, low, high, isScalar(cx, 1))
  const byScale = () => {
    const moved = g.where(inside, g.sub(cx.y(0), w), cx.y(0))
    const sum = g.div(toInput(cx, 1, g.mul(dy, moved)), step)
    const factor = gradientFactor(cx, 1, gradient_scale as GradientScale, 1)
    return g.mul(times(cx, sum, factor), signOf(cx, cx.x(1)))
  }
  const byX = () => g.where(inside, slope ? g.mul(dy, slope) : dy, 0)
  return [cx.wanted(0) ? byX() : null, cx.wanted(1) ? byScale() : null]
}

/** The normalized weights, and what gradients by them are multiplied by. */
function normalizing(cx: GradContext<typeof levelAttrs>): [Value, Value] {
  const { g } = cx
  const { axes, degrees } = cx.attrs
  const centred = g.sub(cx.x(0), g.mean(cx.x(0), axes))
  const deviation = g.op('Sqrt', [g.div(g.sum(g.square(centred), axes, true), degrees)])
  const slope = g.div(cx.x(2), g.add(deviation, DEVIATION_EPSILON))
  return [g.mul(centred, slope), slope]
}
