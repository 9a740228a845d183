import { type Attribute, attribute, Tensor } from '../ir/index.ts'
import { attrs } from '../ops/index.ts'
import { broadcastable } from '../quant/index.ts'
import { arithmeticOf } from './arithmetic.ts'
import type { FakeQuantizer, QuantizerContext } from './define.ts'
import { normalizedOps } from './normalized-op.ts'
import {
  type Gain,
  gainOption,
  magnitudes,
  mapChannels,
  normalizedAxes,
  ofChannel,
  reachOfWeights,
  storedScale,
  zeroOfWeights,
} from './normalized-weights.ts'
import { opIn } from './uniform-op.ts'
import { codeAttributes, uniformParams } from './uniform-state.ts'

export interface DorefaOptions {
  readonly gain: Gain
}

/** Added to the denominator, as MQBench does it. */
const EPSILON = 1e-5

/**
 * weights = gain · t / (max|t| + 1e-5), t = tanh(x), then an even grid. The gradient is that of this formula, through tanh and through the
 * maximum, which equal largest elements share; rounding passes it, and what the grid clips stops it.
 */
const DOREFA_OPS = normalizedOps({
  base: 'Dorefa',
  inputs: ['gain'],
  attrs: { axes: attrs.ints([]), perm: attrs.ints([]), rows: attrs.ints([]), spread: attrs.ints([]) },
  header: ['axes = ints []', 'perm = ints []', 'rows = ints []', 'spread = ints []'],
  lines: [
    'tanh = Tanh(x)',
    'sizes = Abs(tanh)',
    // The maximum of each row by pooling, which means the same in every opset, as ReduceMax does not.
    'ordered = Transpose<perm = @INTS(perm)>(sizes)',
    'rows = Constant<value_ints = @INTS(rows)>()',
    'table = Reshape(ordered, rows)',
    'most = GlobalMaxPool(table)',
    'spread = Constant<value_ints = @INTS(spread)>()',
    'largest = Reshape(most, spread)',
    `epsilon = Constant<value_float = ${EPSILON}>()`,
    'denominator = Add(largest, epsilon)',
    'unit = Div(tanh, denominator)',
    'weights = Mul(unit, gain)',
  ],
  gradients(cx, pass) {
    const { g } = cx
    if (!cx.wanted(0)) return []
    const tanh = g.op('Tanh', [cx.x(0)])
    const sizes = g.op('Abs', [tanh])
    const axes = g.ints(cx.attrs.axes)
    const largest = g.op('ReduceMax', [sizes, axes], { noop_with_empty_axes: attribute.int(1) })
    const denominator = g.add(largest, EPSILON)
    const dUnit = g.mul(
      pass(() => g.mul(g.div(tanh, denominator), cx.x(3))),
      cx.x(3),
    )
    const isLargest = g.cast(g.op('Equal', [sizes, largest]), g.dtype)
    const sum = (v: typeof tanh) => g.sum(v, cx.attrs.axes, true)
    const dLargest = g.neg(g.div(g.div(sum(g.mul(dUnit, tanh)), g.square(denominator)), sum(isLargest)))
    const throughLargest = g.mul(g.mul(isLargest, g.op('Sign', [tanh])), dLargest)
    const dTanh = g.add(g.div(dUnit, denominator), throughLargest)
    return [g.mul(dTanh, g.sub(1, g.square(tanh)))]
  },
})

/**
 * Weights through tanh, normalized by the largest. See docs/fake-quantizers/dorefa.md.
 *
 * The paper's levels, 2·k/(2^b − 1) − 1, have no zero, which no integer kernel stores; as in MQBench, normalized weights are quantized
 * on the target's grid, about a zero point in the middle where it has any. Its activations, clipped to 0 … 1, are `pact` with `start=1` and α held.
 */
export const dorefa: FakeQuantizer<DorefaOptions> = {
  name: 'dorefa',
  title: 'tanh-normalized weights',
  summary: 'squeezes weights by tanh and divides by the largest, so that outliers do not stretch the grid',
  source: 'Zhou et al. 2016, arXiv:1606.06160',
  options: { gain: gainOption },
  roles: ['weight'],
  partner: 'pact',
  ops: DOREFA_OPS,
  init(cx, { gain }) {
    const { params, shape } = cx
    const { spec } = params
    const largest = magnitudes(cx)
    const gains = largest.map((m) => (gain === 'keep' ? m : 1))
    const scales = largest.map((m, i) => {
      const t = Math.tanh(m)
      return storedScale(((gains[i] as number) * (t / (t + EPSILON))) / reachOfWeights(spec), spec)
    })
    const tensor = (name: string, values: readonly number[]) => broadcastable(values, spec.granularity, shape, name)
    return {
      op: opIn(DOREFA_OPS, 'Dorefa', { arithmetic: arithmeticOf(spec), perChannel: false }),
      inputs: [
        { name: 'scale', initial: tensor('scale', scales), trained: false },
        { name: 'zero_point', initial: Tensor.float32([], [zeroOfWeights(params)]), trained: false },
        { name: 'gain', initial: tensor('gain', gains), trained: false },
      ],
      attributes: {
        ...{ ...codeAttributes(spec), ...layoutAttributes(cx) },
        ...(spec.powerOfTwo && { clips: attribute.int(1) }),
      },
    }
  },
  toParams: uniformParams,
  deployedWeights: (weights, { granularity }, state) =>
    mapChannels(weights, granularity, (elements, p) => {
      const largest = elements.reduce((most, x) => Math.max(most, Math.abs(Math.fround(Math.tanh(x)))), 0)
      const denominator = Math.fround(largest + EPSILON)
      const gain = ofChannel(state, 'gain', p)
      return (x) => Math.fround(Math.fround(Math.tanh(x)) / denominator) * gain
    }),
}

/** How the operator finds the largest weight of each channel, or of all: channels to the front, the rest in a row, and back. */
function layoutAttributes(cx: QuantizerContext): Record<string, Attribute> {
  const axes = normalizedAxes(cx)
  const dims = cx.shape ?? []
  const kept = [...dims.keys()].filter((axis) => !axes.includes(axis))
  const count = kept.reduce((n, axis) => n * Number(dims[axis]), 1)
  return {
    axes: attribute.ints(axes),
    perm: attribute.ints([...kept, ...axes]),
    rows: attribute.ints([1, count, -1]),
    spread: attribute.ints(dims.map((d, axis) => (axes.includes(axis) ? 1 : Number(d)))),
  }
}
