import { attribute } from '../ir/index.ts'
import { apotLevels, broadcastable, type FormatOf, gridOf, type QuantSpec, withoutHeadroom } from '../quant/index.ts'
import { invariant, must } from '../util/index.ts'
import { DEVIATION_EPSILON, levelOp, levelType } from './apot-op.ts'
import type { FakeQuantizer, QuantizerContext } from './define.ts'
import { type GradientScale, gradientScaleOption } from './gradient-options.ts'
import { type Gain, gainOption, mapChannels, normalizedAxes, ofChannel } from './normalized-weights.ts'
import { deployedScale, gradientScaleAttribute, numbersOf } from './uniform-state.ts'

export interface ApotOptions {
  readonly normalize: boolean
  readonly gain: Gain
  readonly start: number
  readonly gradientScale: GradientScale
}

/** Up to 256 levels. */
const APOT_OPS = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((rounds) =>
  [false, true].flatMap((reciprocal) => [false, true].map((normalized) => levelOp({ rounds, reciprocal, normalized }))),
)

/** The largest float32 number. Records of networks are JSON, which has no infinity. */
const NEVER_REACHED = (2 - 2 ** -23) * 2 ** 127

/** Where the authors begin to clip normalized weights, in deviations. */
const START = 3

/**
 * Levels that are not evenly spaced: sums of powers of two, or any other table, ±1 included. See docs/fake-quantizers/apot.md.
 */
export const apot: FakeQuantizer<ApotOptions> = {
  name: 'apot',
  title: 'additive powers of two',
  summary: 'rounds to the levels of a table, such as sums of powers of two, and trains where values are clipped',
  source: 'Li et al. 2020, arXiv:1909.13144',
  options: {
    normalize: { summary: 'weights get mean 0 and deviation 1 before they are rounded', default: false },
    gain: gainOption,
    start: {
      summary: 'where clipping begins, in deviations of normalized weights (3 if 0); 0: the observed range',
      default: 0,
      least: 0,
    },
    gradientScale: gradientScaleOption('none'),
  },
  roles: ['weight', 'activation'],
  weightObserver: 'mse',
  ops: APOT_OPS,
  levels: true,
  formatOf,
  obstacle(spec) {
    if (spec.format?.kind !== 'levels')
      return 'apot rounds to tables of levels, and this target has another number format'
    if (spec.format.levels.length > 256) return 'apot takes tables of 256 levels at most'
    return spec.powerOfTwo && 'scales are powers of two on this target, and apot learns any number'
  },
  init(cx, { normalize, gain, start, gradientScale }) {
    const { role, shape, params } = cx
    const { granularity, reciprocal } = params.spec
    const { levels, thresholds } = gridOf(must(params.spec.format, 'levels'), 1)
    const rounds = Math.ceil(Math.log2(levels.length))
    const normalized = normalize && role === 'weight'
    const gains = normalized ? deviations(cx).map((d) => (gain === 'keep' ? d : 1)) : []
    const scales = normalized ? gains.map((d) => (start || START) * d) : params.scale.map((s) => start || s)
    const type = levelType({ rounds, reciprocal: reciprocal === true, normalized })
    const tensor = (name: string, values: readonly number[]) => broadcastable(values, granularity, shape, name)
    const axes = normalizedAxes(cx)
    const count = axes.reduce((n, axis) => n * ((shape?.[axis] as number) ?? 1), 1)
    return {
      op: must(
        APOT_OPS.find((op) => op.type === type),
        `operator ${type}`,
      ),
      inputs: [
        { name: 'scale', initial: tensor('scale', scales), trained: true, decays: true },
        ...(normalized ? [{ name: 'gain', initial: tensor('gain', gains), trained: false }] : []),
      ],
      attributes: {
        levels: attribute.floats(padded(levels, 2 ** rounds, levels.at(-1) as number)),
        thresholds: attribute.floats(padded(thresholds, 2 ** rounds - 1, NEVER_REACHED)),
        ...gradientScaleAttribute(gradientScale, role),
        ...(normalized ? { axes: attribute.ints(axes), count: attribute.float(count) } : {}),
        ...(normalized ? { degrees: attribute.float(Math.max(count - 1, 1)) } : {}),
      },
    }
  },
  toParams(planned: QuantSpec, state) {
    const spec = withoutHeadroom(planned)
    const scale = numbersOf(state, 'scale').map(deployedScale)
    return { spec, scale, zeroPoint: scale.map(() => 0) }
  },
  deployedWeights(weights, { granularity }, state) {
    if (!state.gain) return weights.values
    return mapChannels(weights, granularity, (elements, p) => {
      const { mean, deviation } = moments(elements)
      const factor = ofChannel(state, 'gain', p) / (deviation + DEVIATION_EPSILON)
      return (x) => (x - mean) * factor
    })
  },
}

/** One signed bit is the sign, which a spec of integers has as well. */
function formatOf(...[bits, sign]: Parameters<FormatOf>): ReturnType<FormatOf> {
  return bits < 2 || bits > 8 ? undefined : { kind: 'levels', levels: apotLevels(bits, sign) }
}

const padded = (values: ArrayLike<number>, length: number, fill: number): number[] =>
  Array.from({ length }, (_, i) => values[i] ?? fill)

/** Of each channel's weights, or of all, as the operator divides by them. */
function deviations({ values, shape, params }: QuantizerContext): number[] {
  invariant(values && shape, () => 'normalized weights without their values')
  const found: number[] = []
  mapChannels({ values, dims: shape as readonly number[] }, params.spec.granularity, (elements, p) => {
    found[p] = moments(elements).deviation + DEVIATION_EPSILON
    return (x) => x
  })
  return found
}

function moments(elements: Float32Array): { mean: number; deviation: number } {
  const mean = elements.reduce((sum, x) => sum + x, 0) / elements.length
  const energy = elements.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(energy / Math.max(elements.length - 1, 1)) }
}
