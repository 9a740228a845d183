import { paramsFromRange, type QuantSpec, type ScaleZero } from '../quant/index.ts'
import { must } from '../util/index.ts'
import { type Observer, unlessConstant, wholeRange, within } from './define.ts'
import { stepsOf } from './elements.ts'
import { rangeOfScale } from './grid-search.ts'

export interface CosineOptions {
  /** Finest and coarsest scale, as multiples of that of the extremes. */
  readonly from: number
  readonly to: number
  /** Scales in between, evenly spread, both ends included. */
  readonly points: number
}

/** The scale at which samples point most nearly where they did. See docs/observers/cosine.md. */
export const cosine: Observer<CosineOptions> = {
  name: 'cosine',
  summary: 'the scale with the largest cosine between each sample and its quantized form',
  defaults: { from: 0.2, to: 1.2, points: 101 },
  wants: ['series'],
  range: unlessConstant((stats, spec, { from, to, points }) => {
    const samples = must(stats.series, 'series').map(({ values }) => values)
    const { scale: whole, zeroPoint } = paramsFromRange(wholeRange(stats), spec)
    const [low, high] = [within('from', from, 0.01, 2), within('to', to, 0.01, 2)]
    const last = within('points', points, 2, 1000) - 1
    let best = { scale: whole, similarity: Number.NEGATIVE_INFINITY }
    for (let i = 0; i <= last; i++) {
      const scale = whole * (low + ((high - low) * i) / last)
      const similarity = samples.reduce((sum, values) => sum + similarityOf(values, { scale, zeroPoint }, spec), 0)
      if (similarity > best.similarity) best = { scale, similarity }
    }
    return rangeOfScale(best.scale, zeroPoint, spec)
  }),
}

/** Cosine of the angle between values and their codes; the scale cancels. A sample without any length points everywhere. */
function similarityOf(values: Float32Array, grid: ScaleZero, spec: QuantSpec): number {
  let [dot, length, quantized] = [0, 0, 0]
  for (const x of values) {
    const code = stepsOf(x, grid, spec)
    dot += x * code
    length += x * x
    quantized += code * code
  }
  return dot === 0 ? 0 : dot / Math.sqrt(length * quantized)
}
