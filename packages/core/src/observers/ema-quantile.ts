import { type Range, withZero } from '../quant/index.ts'
import { type BatchRecord, type Observer, unlessConstant, within } from './define.ts'
import { type MomentumOptions, movingAverage } from './moving-average.ts'

export interface EmaQuantileOptions extends MomentumOptions {
  /** Share of the magnitudes, in percent, that each sample keeps. */
  readonly percentile: number
  /** Cells between zero and the largest magnitude, in which magnitudes are counted. */
  readonly bins: number
}

/** Moving average of each sample's extremes, clipped at a quantile of its magnitudes. See docs/observers/ema-quantile.md. */
export const emaQuantile: Observer<EmaQuantileOptions> = {
  name: 'ema-quantile',
  summary: 'a moving average of the extremes, each sample clipped at a quantile of its magnitudes',
  defaults: { momentum: 0.9, percentile: 99.999, bins: 2048 },
  wants: ['series'],
  range: unlessConstant((stats, _spec, options) => {
    const share = within('percentile', options.percentile, 50, 100) / 100
    const bins = within('bins', options.bins, 2, 2 ** 16)
    return withZero(movingAverage(stats, options, (record) => clippedAt(record, share, bins)))
  }),
}

/** Clips at the middle of the first cell below which lie at least this share of the magnitudes. */
function clippedAt({ min, max, values }: BatchRecord, share: number, bins: number): Range {
  const largest = Math.max(-min, max)
  if (largest === 0 || values.length === 0) return { lo: min, hi: max }
  const counts = new Uint32Array(bins)
  for (const x of values) {
    const bin = Math.min(Math.floor((Math.abs(x) / largest) * bins), bins - 1)
    counts[bin] = (counts[bin] as number) + 1
  }
  let [seen, bin] = [0, -1]
  while (bin < bins - 1 && seen < share * values.length) seen += counts[++bin] as number
  const clip = ((bin + 0.5) * largest) / bins
  return { lo: Math.max(min, -clip), hi: Math.min(max, clip) }
}
