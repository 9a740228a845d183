import { Tensor, type Value } from '../ir/index.ts'
import { type GradContext, toInput } from '../ops/index.ts'
import { must } from '../util/index.ts'
import type { FakeQuantizer } from './define.ts'
import { type GradientScale, gradientScaleOption } from './gradient-options.ts'
import { realScaleObstacle, type ScaleOptions, scaleOption } from './power-of-two-scale.ts'
import { type UniformGradient, uniformOps } from './uniform-op.ts'
import { uniformCall, uniformParams } from './uniform-state.ts'

export interface DsqOptions extends ScaleOptions {
  readonly alpha: number
  readonly learnAlpha: boolean
  readonly learnScale: boolean
  readonly gradientScale: GradientScale
}

/** α stays where both T and k are finite and positive. */
const ALPHA = { least: 0.01, most: 0.5 } as const

/**
 * Backward through the soft staircase y = s·(φ(v) − z), v = x/s + z, between the values of the outermost codes:
 *
 *     φ(v) = ⌊v⌋ + ½ + ½·T·tanh(k·r), r = v − ⌊v⌋ − ½, T = 1/(1 − α), k = ln(2/α − 1)
 *     dx = g·φ',  ds = g·(φ − z − (v − z)·φ'),  dα = g·s·½·(T²·tanh(k·r) + T·k'·r·(1 − tanh²)),  φ' = ½·T·k·(1 − tanh²)
 *
 * Zero points are whole, so that they cancel in r, and below φ stands for φ − z and v for v − z. Clipped elements: as LSQ.
 */
const DSQ_OPS = uniformOps({
  base: 'Dsq',
  inputs: ['alpha'],
  attrs: {},
  gradients(cx, grid, dy) {
    const { g } = cx
    const soft = new SoftStaircase(cx, grid)
    const inside = must(grid.inside('unrounded'), 'mask')
    const dx = () => g.where(inside, g.mul(dy, soft.slope), 0)
    const ds = () => {
      const moved = g.where(inside, g.sub(soft.value, g.mul(soft.steps, soft.slope)), g.div(cx.y(0), grid.step))
      return grid.toScale(toInput(cx, 1, g.mul(dy, moved)))
    }
    const byAlpha = () => toInput(cx, 3, g.where(inside, g.mul(dy, g.mul(soft.slopeByAlpha, grid.step)), 0))
    return [cx.wanted(0) ? dx() : null, cx.wanted(1) ? ds() : null, null, cx.wanted(3) ? byAlpha() : null]
  },
})

class SoftStaircase {
  readonly steps: Value
  /** φ'. */
  readonly slope: Value
  readonly #cx: GradContext
  readonly #middle: Value
  readonly #tanh: Value
  readonly #alpha: Value
  readonly #height: Value
  readonly #fromMiddle: Value
  readonly #sech2: Value

  constructor(cx: GradContext, grid: UniformGradient) {
    const { g } = cx
    this.#cx = cx
    this.#alpha = g.op('Clip', [cx.x(3), ALPHA.least, ALPHA.most])
    this.#height = g.div(1, g.sub(1, this.#alpha))
    const k = g.op('Log', [g.sub(g.div(2, this.#alpha), 1)])
    this.steps = g.div(cx.x(0), grid.step)
    this.#middle = g.add(g.op('Floor', [this.steps]), 0.5)
    this.#fromMiddle = g.sub(this.steps, this.#middle)
    this.#tanh = g.op('Tanh', [g.mul(this.#fromMiddle, k)])
    this.#sech2 = g.sub(1, g.square(this.#tanh))
    this.slope = g.mul(this.#sech2, g.mul(g.mul(this.#height, k), 0.5))
  }

  /** φ. */
  get value(): Value {
    const { g } = this.#cx
    return g.add(this.#middle, g.mul(this.#tanh, g.mul(this.#height, 0.5)))
  }

  /** T' = T², k' = −2 / (α·(2 − α)). */
  get slopeByAlpha(): Value {
    const { g } = this.#cx
    const kSlope = g.div(-2, g.mul(this.#alpha, g.sub(2, this.#alpha)))
    const byHeight = g.mul(this.#tanh, g.mul(g.square(this.#height), 0.5))
    const bySteepness = g.mul(g.mul(this.#fromMiddle, this.#sech2), g.mul(g.mul(this.#height, kSlope), 0.5))
    return g.add(byHeight, bySteepness)
  }
}

/**
 * Gradients of a staircase of tanh instead of a straight line. See docs/fake-quantizers/dsq.md.
 *
 * The paper learns the ends of the interval; here the scale is learned, by the same derivative, and zero points stay, because targets
 * hold whole ones only. MQBench learns neither, and keeps α at 0.4.
 */
export const dsq: FakeQuantizer<DsqOptions> = {
  name: 'dsq',
  title: 'differentiable soft quantization',
  summary: 'quantizes hard and lets gradients through a soft staircase, which is steep between two codes',
  source: 'Gong et al. 2019, arXiv:1908.05033',
  options: {
    alpha: { summary: 'distance of the soft staircase from the hard one: small is hard', default: 0.4, ...ALPHA },
    learnAlpha: { summary: 'alpha is trained', default: false },
    learnScale: { summary: 'scales are trained, by the derivative of the soft staircase', default: true },
    gradientScale: gradientScaleOption('features'),
    scale: scaleOption,
  },
  roles: ['weight', 'activation'],
  ops: DSQ_OPS,
  obstacle: realScaleObstacle,
  init(cx, { alpha, learnAlpha, learnScale, gradientScale, scale }) {
    const start = {
      scaleTrained: learnScale,
      zeroPointTrained: false,
      mask: 'unrounded',
      gradientScale,
      scale,
    } as const
    const call = uniformCall(DSQ_OPS, 'Dsq', cx, start)
    const initial = Tensor.float32([], [alpha])
    return { ...call, inputs: [...call.inputs, { name: 'alpha', initial, trained: learnAlpha }] }
  },
  toParams: uniformParams,
}
