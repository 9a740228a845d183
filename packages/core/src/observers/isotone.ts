import { paramsFromRange, type QuantSpec } from '../quant/index.ts'
import { type Observer, unlessConstant, wholeRange } from './define.ts'
import { stepsOf } from './elements.ts'
import { rangeOfScale, zeroPointFor } from './grid-search.ts'

/** The scale at which the largest score stays the largest in most rows. See docs/observers/isotone.md. */
export const isotone: Observer = {
  name: 'isotone',
  summary: 'the scale that keeps the largest class the largest, for the scores at the end of a classifier',
  defaults: {},
  wants: ['margins'],
  range: unlessConstant((stats, spec) => {
    const { margins } = stats
    if (!margins) return wholeRange(stats)
    const whole = paramsFromRange(wholeRange(stats), spec).scale
    const closeness = (scale: number): number => -Math.abs(Math.log(scale / whole))
    let best = { scale: whole, kept: -1 }
    for (const scale of candidates(margins, whole, spec)) {
      const kept = keptRows(margins, scale, zeroPointFor(scale, stats, spec), spec)
      if (kept > best.kept || (kept === best.kept && closeness(scale) > closeness(best.scale))) best = { scale, kept }
    }
    return rangeOfScale(best.scale, zeroPointFor(best.scale, stats, spec), spec)
  }),
  caution: ({ margins }) =>
    margins ? undefined : 'there is no axis of classes to compare scores along: same as minmax',
}

/**
 * Row by row, the smallest scale whose codes hold the second score with room for the largest above it, and the largest whose step is
 * no wider than the two are apart; and the scale of the extremes.
 */
function candidates(margins: Float64Array, whole: number, { quantMax }: QuantSpec): Set<number> {
  const found = new Set([whole])
  for (let i = 0; i < margins.length; i += 2) {
    const [first, second] = [margins[i] as number, margins[i + 1] as number]
    for (const scale of [second / (quantMax - 0.51), first - second, 2 * (first - second)]) {
      if (scale > 0 && scale <= 4 * whole) found.add(Math.fround(scale))
    }
  }
  return found
}

/** Rows whose largest score gets a higher code than the second. */
function keptRows(margins: Float64Array, scale: number, zeroPoint: number, spec: QuantSpec): number {
  let kept = 0
  for (let i = 0; i < margins.length; i += 2) {
    const [first, second] = [margins[i] as number, margins[i + 1] as number]
    if (stepsOf(first, { scale, zeroPoint }, spec) > stepsOf(second, { scale, zeroPoint }, spec)) kept++
  }
  return kept
}
