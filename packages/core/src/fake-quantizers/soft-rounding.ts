import { attribute, Tensor, type Value } from '../ir/index.ts'
import { attrs, defineOp, type OpDef } from '../ops/index.ts'
import { forEachRun, MIN_SCALE, type NodeSink, withoutHeadroom } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { ARITHMETICS, arithmeticOf, divideLines } from './arithmetic.ts'
import { type FakeQuantizer, QAT_DOMAIN, type QuantizerContext } from './define.ts'
import { UNIFORM_OPS } from './learned-step.ts'
import { attributeLine, functionText, STEP_LINES, ZERO_LINES } from './uniform-body.ts'
import { likeInput, opIn, QUANTIZER_TRAITS, typeIn, type UniformForm } from './uniform-op.ts'
import { codeAttributes, numbersOf, uniformCall, uniformParams } from './uniform-state.ts'

/** The rectified sigmoid h(v) = clip(σ(v)·(ζ − γ) + γ, 0, 1), with ζ = 1.1 and γ = −0.1, reaches both ends. */
const STRETCH = 1.2
const SHIFT = -0.1

/** How it divides; nothing is rounded here. */
const FORMS: readonly UniformForm[] = ARITHMETICS.filter((a) => a.rounding === 'half-even' && !a.addThenRound).flatMap(
  (arithmetic) => [false, true].map((perChannel) => ({ arithmetic, perChannel })),
)

/**
 * x, scale, zero_point, v → y = s·(clip(⌊x/s⌋ + h + z) − z), h = h(v) or, where `hard`, 1 for v ≥ 0 and else 0. dv = g·s·h'(v) where nothing is
 * clipped; x and scale are not trained (AdaRound, equations 22 and 23).
 */
const softRoundingOp = (form: UniformForm): OpDef => {
  const type = typeIn('SoftRounding', form)
  const inputs = ['x', 'scale', 'zero_point', 'v']
  const required = ['quant_min', 'quant_max']
  const clip = form.perChannel
    ? ['raised = Max(sum, low)', 'codes = Min(raised, high)']
    : ['codes = Clip(sum, low, high)']
  const lines = [
    ...[...required, 'hard'].map(attributeLine),
    ...STEP_LINES,
    ...ZERO_LINES,
    ...divideLines(form.arithmetic, 'x', 'step', 'steps'),
    'none = Constant<value_float = 0.0>()',
    'one = Constant<value_float = 1.0>()',
    `stretch = Constant<value_float = ${STRETCH}>()`,
    `shift = Constant<value_float = ${SHIFT}>()`,
    ...['floors = Floor(steps)', 'sigmoid = Sigmoid(v)', 'stretched = Mul(sigmoid, stretch)'],
    ...['free = Add(stretched, shift)', 'soft = Clip(free, none, one)'],
    ...['isUp = GreaterOrEqual(v, none)', 'up = Where(isUp, one, none)'],
    ...['isHard = Greater(hard, none)', 'share = Where(isHard, up, soft)', 'sum = Add(floors, share)'],
    ...['low = Sub(quant_min, zero)', 'high = Sub(quant_max, zero)', ...clip, 'y = Mul(codes, step)'],
  ]
  return defineOp({
    ...{ type, domain: QAT_DOMAIN, since: [1], inputs, outputs: ['y'], infer: likeInput, quant: QUANTIZER_TRAITS },
    attrs: { quant_min: attrs.float(), quant_max: attrs.float(), hard: attrs.float(0) },
    body: functionText({ type, inputs, required, optional: ['hard = 0.0'], lines }),
    grad(cx) {
      const { g } = cx
      const dy = cx.dy(0)
      if (!dy || !cx.wanted(3)) return []
      const { quant_min, quant_max } = cx.attrs
      const step = g.op('Max', [g.op('Abs', [cx.x(1)]), MIN_SCALE])
      const zero = g.op('Clip', [g.op('Round', [cx.x(2)]), quant_min, quant_max])
      const sigmoid = g.op('Sigmoid', [cx.x(3)])
      const free = g.add(g.mul(sigmoid, STRETCH), SHIFT)
      const sum = g.add(g.op('Floor', [g.div(cx.x(0), step)]), g.op('Clip', [free, 0, 1]))
      const inside = (v: Value, low: Value | number, high: Value | number) =>
        g.op('And', [g.greater(v, low), g.less(v, high)])
      const moves = g.op('And', [inside(free, 0, 1), inside(sum, g.sub(quant_min, zero), g.sub(quant_max, zero))])
      const slope = g.mul(g.mul(sigmoid, g.sub(1, sigmoid)), STRETCH)
      return [null, null, null, g.where(moves, g.mul(dy, g.mul(slope, step)), 0)]
    },
  }) as unknown as OpDef
}

const SOFT_ROUNDING_OPS = FORMS.map(softRoundingOp)

/** Each weight trains whether it goes up or down. See docs/fake-quantizers/soft-rounding.md. */
export const softRounding: FakeQuantizer<Record<never, never>> = {
  name: 'soft-rounding',
  title: 'learned rounding',
  summary:
    'trains for each weight whether it is rounded up or down, and leaves the weights as they are (AdaRound, BRECQ, QDrop)',
  source: 'Nagel et al. 2020, arXiv:2004.10568',
  options: {},
  roles: ['weight'],
  partner: 'qdrop',
  ops: SOFT_ROUNDING_OPS,
  init(cx) {
    const start = { scaleTrained: false, zeroPointTrained: false, mask: 'none', gradientScale: 'none' } as const
    const { inputs } = uniformCall(UNIFORM_OPS, 'FakeQuantize', cx, start)
    const { rounding: _, ...arithmetic } = arithmeticOf(cx.params.spec)
    const perChannel = must(inputs[1], 'zero point').initial.dims.length > 0
    const form = { arithmetic: { ...arithmetic, addThenRound: false, rounding: 'half-even' }, perChannel } as const
    return {
      op: opIn(SOFT_ROUNDING_OPS, 'SoftRounding', form),
      inputs: [...inputs, { name: 'v', initial: startOf(cx), trained: true }],
      attributes: { ...codeAttributes(cx.params.spec), hard: attribute.float(1) },
      training: { hard: attribute.float(0) },
    }
  },
  toParams: uniformParams,
  deployedWeights({ values, dims }, planned, state) {
    const { spec, scale, zeroPoint } = uniformParams(planned, state)
    const v = numbersOf(state, 'v')
    const out = new Float32Array(values.length)
    forEachRun(dims, spec.granularity, (start, end, p) => {
      const [s, z] = [scale[p] as number, zeroPoint[p] as number]
      for (let i = start; i < end; i++) {
        const code = Math.floor(stepsOf(values[i] as number, s, spec.reciprocal)) + ((v[i] as number) >= 0 ? 1 : 0)
        out[i] = Math.min(Math.max(code, spec.quantMin - z), spec.quantMax - z) * s
      }
    })
    return out
  },
}

/** v at which soft rounding gives every weight back: h(v) = x/s − ⌊x/s⌋. */
function startOf({ params, shape, values }: QuantizerContext): Tensor {
  const weights = must(values, 'weights for soft rounding')
  const dims = must(shape, 'shape of weights') as readonly number[]
  const v = new Float32Array(weights.length)
  const { granularity, reciprocal } = withoutHeadroom(params.spec)
  forEachRun(dims, granularity, (start, end, p) => {
    for (let i = start; i < end; i++) {
      const steps = stepsOf(weights[i] as number, params.scale[p] as number, reciprocal)
      v[i] = -Math.log(STRETCH / (steps - Math.floor(steps) - SHIFT) - 1)
    }
  })
  return Tensor.float32(dims, v)
}

const stepsOf = (x: number, s: number, reciprocal: boolean | undefined): number =>
  Math.fround(reciprocal ? x * Math.fround(1 / s) : x / s)

/**
 * Σ (1 − |2·h(v) − 1|^β), the term of the loss that drives every h to 0 or 1 as β falls (equation 24).
 * @param beta a scalar, 20 in the beginning and 2 in the end.
 */
export function softRoundingPenalty(sink: NodeSink, v: Value, beta: Value): Value {
  const scalar = (name: string, value: number) => sink.constant(`soft_rounding_${name}`, Tensor.float32([], [value]))
  const [none, one, two] = [scalar('zero', 0), scalar('one', 1), scalar('two', 2)]
  const stretched = sink.op('Mul', [sink.op('Sigmoid', [v]), scalar('stretch', STRETCH)])
  const h = sink.op('Clip', [sink.op('Add', [stretched, scalar('shift', SHIFT)]), none, one])
  const distance = sink.op('Abs', [sink.op('Sub', [sink.op('Mul', [h, two]), one])])
  const open = sink.op('Sub', [one, sink.op('Pow', [distance, beta])])
  return sink.op('ReduceSum', [open], { keepdims: attribute.int(0) })
}
