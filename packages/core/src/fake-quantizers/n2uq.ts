import { type Attribute, attribute, Tensor, type Value } from '../ir/index.ts'
import { attrs, defineOp, type GradContext, type OpDef, toInput } from '../ops/index.ts'
import { MIN_SCALE } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { type FakeQuantizer, QAT_DOMAIN } from './define.ts'
import { signOf } from './gradient-pieces.ts'
import { searchLines } from './level-search.ts'
import { attributeLine, functionText, STEP_LINES } from './uniform-body.ts'
import { likeInput, QUANTIZER_TRAITS } from './uniform-op.ts'
import { uniformParams } from './uniform-state.ts'

const n2uqAttrs = { least_interval: attrs.float() }

/** Input positions. */
const [SCALE, START, INTERVALS] = [1, 3, 4]

/**
 * x, scale, zero_point, start, intervals → y = s · (#{i : x ≥ Tᵢ} − z): 2^bits levels, evenly spaced, behind thresholds that are not. Interval i of length aᵢ begins
 * where the one before ends, the first at `start`, and its threshold is its middle.
 *
 * The gradient is that of the line from (start, 0) through the ends of the intervals, which is what stochastic rounding gives on average
 * (generalized straight-through estimator, equations 9 to 11); by s, that of y.
 */
const n2uqOp = (bits: number): OpDef => {
  const type = `N2uq${bits}`
  const inputs = ['x', 'scale', 'zero_point', 'start', 'intervals']
  const required = ['least_interval']
  const lines = [
    ...required.map(attributeLine),
    'zeroth = Constant<value = int64[] {0}>()',
    'half = Constant<value_float = 0.5>()',
    'lengths = Max(intervals, least_interval)',
    'sums = CumSum(lengths, zeroth)',
    'ends = Add(sums, start)',
    'halves = Mul(lengths, half)',
    'thresholds = Sub(ends, halves)',
    ...searchLines(bits, 'x', 'thresholds', 'index'),
    'level = Cast<to = 1>(index)',
    'code = Sub(level, zero_point)',
    ...STEP_LINES,
    'y = Mul(code, step)',
  ]
  return defineOp({
    ...{ type, domain: QAT_DOMAIN, since: [1], inputs, outputs: ['y'], attrs: n2uqAttrs, infer: likeInput },
    quant: QUANTIZER_TRAITS,
    body: functionText({ type, inputs, required, lines }),
    grad: n2uqGradients,
  }) as unknown as OpDef
}

function n2uqGradients(cx: GradContext<typeof n2uqAttrs>) {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  const lengths = g.op('Max', [cx.x(INTERVALS), cx.attrs.least_interval])
  const size = cx.input(INTERVALS)?.shape?.[0]
  if (typeof size !== 'number') return cx.open('the number of intervals')
  const sum = (v: Value, way: Readonly<Record<string, Attribute>>) =>
    g.op('CumSum', [v, g.op('Squeeze', [g.ints([0])])], { exclusive: attribute.int(1), ...way })
  const begins = g.add(sum(lengths, {}), cx.x(START))
  const index = intervalOf(cx, begins, size)
  const length = g.op('Gather', [lengths, index])
  const way = g.div(g.sub(cx.x(0), g.op('Gather', [begins, index])), length)
  const inside = g.op('And', [g.op('GreaterOrEqual', [way, 0]), g.less(way, 1)])
  const step = g.op('Max', [g.op('Abs', [cx.x(SCALE)]), MIN_SCALE])
  const dx = g.where(inside, g.div(g.mul(dy, step), length), 0)
  const perInterval = (values: Value) => {
    const flat = (v: Value) => g.reshape(v, [-1])
    const zeros = g.expandLike(0, cx.x(INTERVALS))
    return g.op('ScatterElements', [zeros, flat(index), flat(values)], { reduction: attribute.string('add') })
  }
  const byIntervals = () => {
    const behind = sum(perInterval(dx), { reverse: attribute.int(1) })
    const free = g.greater(cx.x(INTERVALS), cx.attrs.least_interval)
    return g.where(free, g.neg(g.add(perInterval(g.mul(dx, way)), behind)), 0)
  }
  const byScale = () => g.mul(g.div(toInput(cx, SCALE, g.mul(dy, cx.y(0))), step), signOf(cx, cx.x(SCALE)))
  return [
    cx.wanted(0) ? dx : null,
    cx.wanted(SCALE) ? byScale() : null,
    null,
    cx.wanted(START) ? g.neg(toInput(cx, START, dx)) : null,
    cx.wanted(INTERVALS) ? byIntervals() : null,
  ]
}

/** Which interval each element lies in, the nearest for those beyond the ends: the last that begins at or below it. */
function intervalOf({ g, x }: GradContext, begins: Value, size: number): Value {
  let index: Value | undefined
  for (let step = (size + 1) / 2; step >= 1; step /= 2) {
    const probe = index ? g.add(index, g.ints([step - 1])) : g.ints([step - 1])
    const bit = g.cast(g.op('GreaterOrEqual', [x(0), g.op('Gather', [begins, probe])]), 'int64')
    const part = g.mul(bit, g.ints([step]))
    index = index ? g.add(index, part) : part
  }
  return g.op('Max', [g.sub(must(index, 'intervals'), g.ints([1])), g.ints([0])])
}

const N2UQ_OPS = [2, 3, 4, 5, 6, 7, 8].map(n2uqOp)

/** No interval becomes shorter than this share of the first ones, as in the authors' code. */
const LEAST_SHARE = 1e-3

/**
 * Thresholds are trained, one by one. See docs/fake-quantizers/n2uq.md.
 *
 * `toParams` gives the levels; that values become codes by other thresholds than these levels have, no spec says. The authors' scale of
 * the input is left out: it is one factor of start and intervals.
 */
export const n2uq: FakeQuantizer<Record<never, never>> = {
  name: 'n2uq',
  title: 'nonuniform-to-uniform quantization',
  summary: 'trains each threshold between two codes; the values of codes stay evenly spaced',
  source: 'Liu et al. 2022, arXiv:2111.14826',
  options: {},
  roles: ['activation'],
  ops: N2UQ_OPS,
  obstacle(spec) {
    if (spec.granularity.kind !== 'tensor')
      return 'n2uq trains one list of thresholds for a tensor, and scales are per channel here'
    if (spec.bits > 8) return `n2uq trains ${2 ** spec.bits - 1} thresholds for ${spec.bits} bits; it takes 8 at most`
    return 'n2uq trains thresholds that are not evenly spaced, and no backend compares with a table of thresholds: it can be trained and measured, not deployed'
  },
  init({ params }) {
    const { bits, quantMin } = params.spec
    const [scale, zeroPoint] = [must(params.scale[0], 'scale'), must(params.zeroPoint[0], 'zero point')]
    const count = 2 ** bits - 1
    const zero = zeroPoint - quantMin
    const scalar = (value: number) => Tensor.float32([], [value])
    return {
      op: must(N2UQ_OPS[bits - 2], `N2UQ of ${bits} bits`),
      inputs: [
        { name: 'scale', initial: scalar(scale), trained: true },
        { name: 'zero_point', initial: scalar(zero), trained: false },
        { name: 'start', initial: scalar(-zero * scale), trained: true },
        { name: 'intervals', initial: Tensor.float32([count], new Float32Array(count).fill(scale)), trained: true },
      ],
      attributes: { least_interval: attribute.float(scale * LEAST_SHARE) },
    }
  },
  toParams(spec, state) {
    const { scale, zeroPoint } = uniformParams({ ...spec, quantMin: 0, quantMax: spec.quantMax - spec.quantMin }, state)
    return { spec, scale, zeroPoint: zeroPoint.map((z) => z + spec.quantMin) }
  },
}
