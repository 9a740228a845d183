import type { TensorReport } from '@fewbit/core/analysis'
import { plot, rect, rectY, ruleX, ruleY } from '@observablehq/plot'
import { COLOR, chart, legend } from './chart.ts'

type Quantization = NonNullable<TensorReport['quantization']>

const finite = (bounds: readonly number[]): boolean => bounds.every(Number.isFinite)

/** Counts on a logarithmic scale, so that the few elements of the tails show, with the interval of the codes. */
export function histogramChart({ value, histogram, quantization }: TensorReport): HTMLElement {
  const { edges, counts } = histogram
  const bars = counts.flatMap((count, i) =>
    count > 0 ? [{ from: edges[i] as number, to: edges[i + 1] as number, count }] : [],
  )
  const covered = quantization && finite([quantization.lo, quantization.hi]) ? [quantization.lo, quantization.hi] : []
  const grid = covered.length > 0 ? codes(quantization as Quantization) : []
  const least = Math.min(1, ...bars.map(({ count }) => count)) / 2
  const draw = (width: number) =>
    plot({
      width,
      height: 170,
      marginLeft: 48,
      ariaLabel: `Histogram of ${value}`,
      x: { label: null, nice: false },
      y: { type: 'log', label: 'elements', ticks: powersOfTen(bars), tickFormat: '~s', grid: true },
      marks: [
        ...(covered.length > 0 ? [rect([covered], { x1: '0', x2: '1', fill: COLOR.range, fillOpacity: 0.1 })] : []),
        rectY(bars, {
          x1: 'from',
          x2: 'to',
          y1: () => least,
          y2: 'count',
          fill: COLOR.bars,
          insetLeft: 0.3,
          insetRight: 0.3,
        }),
        ruleX(grid, { stroke: COLOR.range, strokeOpacity: 0.35, strokeWidth: 0.75 }),
        ruleX(covered, { stroke: COLOR.range, strokeWidth: 2 }),
      ],
    })
  const keys = [
    ['float elements', 'bars'] as const,
    ...(covered.length > 0 ? [['interval that the codes cover', 'range'] as const] : []),
  ]
  const few = grid.length > 0 ? ' Thin lines are the values that codes stand for.' : ''
  return chart(`How many elements have which value, on a logarithmic scale.${few}`, draw, legend(keys))
}

function powersOfTen(bars: readonly { readonly count: number }[]): number[] {
  const last = Math.floor(Math.log10(Math.max(1, ...bars.map(({ count }) => count))))
  const every = last > 4 ? 2 : 1
  return Array.from({ length: Math.floor(last / every) + 1 }, (_, i) => 10 ** (i * every))
}

/** Values of the codes where they are few enough to be told apart. */
function codes({ quantMin, quantMax, scale, zeroPoint, scales, format }: Quantization): number[] {
  const steps = quantMax - quantMin
  if (scales !== 1 || format !== undefined || steps > 32) return []
  return Array.from({ length: steps + 1 }, (_, i) => (quantMin + i - (zeroPoint[0] ?? 0)) * (scale[0] ?? 1))
}

/** From minimum to maximum of each channel, before the interval that its codes cover. */
export function channelChart({ value, channels, quantization }: TensorReport): HTMLElement | undefined {
  if (!channels || channels.min.length < 2) return undefined
  const bars = channels.min.map((min, channel) => ({ channel, min, max: channels.max[channel] as number }))
  const own = quantization ? channelIntervals(quantization, channels.axis, bars.length) : undefined
  const shared =
    quantization && !own && finite([quantization.lo, quantization.hi]) ? [quantization.lo, quantization.hi] : []
  const draw = (width: number) => {
    const stroke = Math.max(0.75, Math.min(8, ((width - 70) / bars.length) * 0.55))
    return plot({
      width,
      height: 170,
      marginLeft: 48,
      ariaLabel: `Ranges of the channels of ${value}`,
      x: {
        label: 'channel',
        domain: [-0.7, bars.length - 0.3],
        tickFormat: (d: number) => (Number.isInteger(d) ? String(d) : ''),
      },
      y: { label: 'value', grid: true, ticks: 5 },
      marks: [
        ruleY([0], { stroke: COLOR.muted, strokeOpacity: 0.4 }),
        ruleX(own ?? [], {
          x: 'channel',
          y1: 'lo',
          y2: 'hi',
          stroke: COLOR.range,
          strokeOpacity: 0.35,
          strokeWidth: stroke * 1.7,
        }),
        ruleX(bars, { x: 'channel', y1: 'min', y2: 'max', stroke: COLOR.bars, strokeWidth: stroke }),
        ruleY(shared, { stroke: COLOR.range, strokeWidth: 2 }),
      ],
    })
  }
  const covered = own || shared.length > 0 ? [['interval that the codes cover', 'range'] as const] : []
  return chart(
    `Smallest to largest element of each of ${bars.length} channels (axis ${channels.axis}).`,
    draw,
    legend([['float elements', 'bars'], ...covered]),
  )
}

function channelIntervals(
  { granularity, axis, scale, zeroPoint, quantMin, quantMax, format }: Quantization,
  along: number,
  count: number,
) {
  if (granularity !== 'channel' || axis !== along || scale.length !== count || format !== undefined) return undefined
  return scale.map((step, channel) => ({
    channel,
    lo: (quantMin - (zeroPoint[channel] ?? 0)) * step,
    hi: (quantMax - (zeroPoint[channel] ?? 0)) * step,
  }))
}
