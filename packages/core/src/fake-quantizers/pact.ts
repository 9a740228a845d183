import { attribute, Tensor, type Value } from '../ir/index.ts'
import {
  broadcastable,
  coveredRange,
  MIN_SCALE,
  type NodeSink,
  type QuantParams,
  type QuantSpec,
  stepsAboutZero,
  withoutHeadroom,
} from '../quant/index.ts'
import { must, roundHalfEven } from '../util/index.ts'
import { arithmeticOf } from './arithmetic.ts'
import type { FakeQuantizer, QuantizerCall, QuantizerContext, QuantizerInput, QuantizerState } from './define.ts'
import { PACT_OPS } from './pact-ops.ts'
import {
  isPowerOfTwo,
  readAsPowerOfTwo,
  realScaleObstacle,
  type ScaleOptions,
  scaleOption,
} from './power-of-two-scale.ts'
import { atLeastMinScale, scalar } from './scale-nodes.ts'
import { opIn } from './uniform-op.ts'
import { codeAttributes, numbersOf } from './uniform-state.ts'

export interface PactOptions extends ScaleOptions {
  readonly start: number
}

/**
 * The ends of the range are trained. See docs/fake-quantizers/pact.md.
 *
 * Differs from MQBench in two ways. Scale and zero point follow α in every step, where MQBench computes them while its observer is on only. And
 * x is not clipped at α before it is rounded: where rounding the zero point moves the grid beyond α, deployed kernels use that code, and
 * so does this (x = 3.7, α = 2, n = −2 at 4 bits: 2.1333 here and deployed, 1.8667 there).
 */
export const pact: FakeQuantizer<PactOptions> = {
  name: 'pact',
  title: 'parameterized clipping activation',
  summary: 'trains where activations are clipped, by the gradients of what is clipped; weight decay pulls the ends in',
  source: 'Choi et al. 2018, arXiv:1805.06085',
  options: {
    start: { summary: 'where clipping begins: α, and −α of signed data; 0: the observed range', default: 0, least: 0 },
    scale: scaleOption,
  },
  roles: ['activation'],
  partner: 'dorefa',
  ops: PACT_OPS,
  obstacle: (spec, target, options) =>
    isPowerOfTwo(spec, options) && !spec.symmetric
      ? 'pact trains both ends of a range with a zero point, and a power of two fits one of them'
      : realScaleObstacle(spec, target, options),
  init: (cx, options) => (cx.params.spec.symmetric ? symmetricCall(cx, options) : affineCall(cx, options)),
  toParams: (spec, state) => (state.negative_alpha ? affineParams(spec, state) : symmetricParams(spec, state)),
  writeScale(sink, { alpha, zero_point, negative_alpha }, planned) {
    const spec = withoutHeadroom(planned)
    const top = must(alpha, 'alpha')
    if (negative_alpha) return affineScale(sink, top, negative_alpha, spec)
    return stepOver(sink, top, reachOf(spec, zero_point?.constant?.numbers()[0] ?? 0))
  },
  writeZeroPoint(sink, { alpha, zero_point, negative_alpha }, planned) {
    if (!negative_alpha) return must(zero_point, 'zero point')
    const spec = withoutHeadroom(planned)
    const scale = affineScale(sink, must(alpha, 'alpha'), negative_alpha, spec)
    const [least, most] = [scalar(sink, 'least_code', spec.quantMin), scalar(sink, 'most_code', spec.quantMax)]
    const below = sink.op('Round', [sink.op('Div', [bottomOf(sink, negative_alpha), scale])])
    return sink.op('Clip', [sink.op('Sub', [least, below]), least, most])
  },
}

const stepOver = (sink: NodeSink, span: Value, steps: number): Value =>
  atLeastMinScale(sink, sink.op('Div', [span, scalar(sink, 'steps', steps)]))

const bottomOf = (sink: NodeSink, negativeAlpha: Value): Value =>
  sink.op('Min', [negativeAlpha, scalar(sink, 'zero', 0)])

function affineScale(sink: NodeSink, alpha: Value, negativeAlpha: Value, { quantMin, quantMax }: QuantSpec): Value {
  const span = sink.op('Sub', [atLeastMinScale(sink, alpha), bottomOf(sink, negativeAlpha)])
  return stepOver(sink, span, quantMax - quantMin)
}

function symmetricCall(cx: QuantizerContext, { start, ...options }: PactOptions): QuantizerCall {
  const { spec, zeroPoint, scale } = cx.params
  const zero = zeroPoint[0] ?? 0
  const reach = reachOf(spec, zero)
  const alpha = endsInput(
    cx,
    'alpha',
    scale.map((s) => start || s * reach),
  )
  const form = { arithmetic: arithmeticOf(spec), perChannel: false }
  return {
    op: opIn(PACT_OPS, 'Pact', form),
    inputs: [
      isPowerOfTwo(spec, options) ? readAsPowerOfTwo(alpha, reach) : alpha,
      { name: 'zero_point', initial: Tensor.float32([], [zero]), trained: false },
    ],
    attributes: {
      ...codeAttributes(spec),
      reach: attribute.float(reach),
      one_sided: attribute.int(zero === spec.quantMin ? 1 : 0),
    },
  }
}

/** How many steps lie between 0 and α: the grid covers values up to it, as ranges of symmetric specs are covered. */
function reachOf(spec: QuantSpec, zero: number): number {
  if (zero === spec.quantMin) return spec.quantMax - spec.quantMin
  const { below, above } = stepsAboutZero(spec)
  return Math.min(below, above)
}

function symmetricParams(planned: QuantSpec, state: QuantizerState): QuantParams {
  const spec = withoutHeadroom(planned)
  const [zero = 0] = numbersOf(state, 'zero_point')
  const scale = numbersOf(state, 'alpha').map((alpha) => Math.max(Math.fround(alpha / reachOf(spec, zero)), MIN_SCALE))
  return { spec, scale, zeroPoint: scale.map(() => zero) }
}

function affineCall(cx: QuantizerContext, { start }: PactOptions): QuantizerCall {
  const { spec, zeroPoint, scale } = cx.params
  const ranges = scale.map((s, i) => coveredRange({ scale: s, zeroPoint: zeroPoint[i] ?? 0 }, spec))
  const top = endsInput(
    cx,
    'alpha',
    ranges.map(({ hi }) => start || hi),
  )
  const bottom = endsInput(
    cx,
    'negative_alpha',
    ranges.map(({ lo }) => (start && lo < 0 ? -start : lo)),
  )
  const form = { arithmetic: arithmeticOf(spec), perChannel: top.initial.dims.length > 0 }
  return { op: opIn(PACT_OPS, 'PactAffine', form), inputs: [top, bottom], attributes: codeAttributes(spec) }
}

/** In float32 and in the order of the function body. */
function affineParams(planned: QuantSpec, state: QuantizerState): QuantParams {
  const spec = withoutHeadroom(planned)
  const { quantMin, quantMax } = spec
  const bottoms = numbersOf(state, 'negative_alpha').map((n) => Math.min(n, 0))
  const scale = numbersOf(state, 'alpha').map((alpha, i) => {
    const span = Math.fround(Math.max(alpha, MIN_SCALE) - (bottoms[i] as number))
    return Math.max(Math.fround(span / (quantMax - quantMin)), MIN_SCALE)
  })
  const zeroPoint = scale.map((s, i) => {
    const free = quantMin - roundHalfEven(Math.fround((bottoms[i] as number) / s))
    return Math.min(Math.max(free, quantMin), quantMax)
  })
  return { spec, scale, zeroPoint }
}

const endsInput = ({ params, shape }: QuantizerContext, name: string, ends: readonly number[]): QuantizerInput => ({
  name,
  initial: broadcastable(ends, params.spec.granularity, shape, name),
  trained: true,
  decays: true,
})
