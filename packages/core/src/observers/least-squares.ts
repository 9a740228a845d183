import { paramsFromRange } from '../quant/index.ts'
import { type Observer, unlessConstant, wholeRange, within } from './define.ts'
import { elementsOf, stepsOf } from './elements.ts'
import { rangeOfScale } from './grid-search.ts'

export interface LeastSquaresOptions {
  /** Most steps of the iteration. */
  readonly steps: number
}

/** Relative change of the scale below which the iteration rests. */
const STILL = 1e-4

/** Codes and scale in turn, each the best for the other. See docs/observers/least-squares.md. */
export const leastSquares: Observer<LeastSquaresOptions> = {
  name: 'least-squares',
  summary: 'the fixed point of codes for the scale and the least-squares scale for the codes',
  defaults: { steps: 40 },
  wants: ['elements'],
  range: unlessConstant((stats, spec, options) => {
    const values = elementsOf(stats)
    const steps = within('steps', options.steps, 1, 1000)
    let { scale, zeroPoint } = paramsFromRange(wholeRange(stats), spec)
    for (let i = 0; i < steps; i++) {
      let [product, square] = [0, 0]
      for (const x of values) {
        const code = stepsOf(x, { scale, zeroPoint }, spec)
        product += x * code
        square += code * code
      }
      const next = product / square
      if (!(next > 0)) break
      const isStill = Math.abs(next - scale) < STILL * scale
      scale = next
      if (isStill) break
    }
    return rangeOfScale(scale, zeroPoint, spec)
  }),
}
