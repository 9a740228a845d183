import { decibel } from '@fewbit/core/util'
import { dot, line, plot, pointerX, ruleX, tip } from '@observablehq/plot'
import { COLOR, chart, legend, TIP } from './chart.ts'
import { drawable, type LayerRow } from './layer-rows.ts'

interface Point {
  readonly row: LayerRow
  readonly position: number
  readonly accumulated: number
  readonly isolated: number
}

/** Beyond this many layers points run together, and lines say more. */
const MOST_DOTS = 150

/** SQNR along the network, of each tensor with the errors before it and of the outputs with one layer quantized alone. */
export function errorChart(rows: readonly LayerRow[], open: (row: LayerRow) => void): HTMLElement {
  const points = rows
    .filter((row) => row.layer)
    .map(
      (row, position): Point => ({
        row,
        position: position + 1,
        accumulated: drawable(row.layer?.graphwise?.sqnr) ?? Number.NaN,
        isolated: drawable(row.layer?.isolated?.sqnr) ?? Number.NaN,
      }),
    )
  const has = (key: 'accumulated' | 'isolated') => points.some((point) => !Number.isNaN(point[key]))
  const series = [
    ...(has('accumulated') ? [['accumulated: this tensor, all layers quantized', 'accumulated'] as const] : []),
    ...(has('isolated') ? [['isolated: the outputs, only this layer quantized', 'isolated'] as const] : []),
  ]
  const more = has('isolated') ? '' : ' fewbit analyze --layerwise also measures the error that each layer makes alone.'
  const caption = `SQNR in dB: higher is better, 6 dB is a factor of two in error. Point at a layer for its name; click it for details.${more}`
  return chart(caption, (width) => draw(points, width, open), legend(series))
}

function draw(points: readonly Point[], width: number, open: (row: LayerRow) => void): Element {
  const curve = (y: 'accumulated' | 'isolated', dash: string) => {
    const drawn = points.filter((point) => !Number.isNaN(point[y]))
    return [
      line(drawn, { x: 'position', y, stroke: COLOR[y], strokeWidth: 1.75, strokeDasharray: dash }),
      ...(drawn.length > MOST_DOTS ? [] : [dot(drawn, { x: 'position', y, fill: COLOR[y], r: 2.75 })]),
    ]
  }
  const y = (p: Point) => (Number.isNaN(p.accumulated) ? p.isolated : p.accumulated)
  const near = { px: 'position', py: y, maxRadius: 80 }
  const figure = plot({
    width,
    height: Math.max(220, Math.min(340, width * 0.36)),
    marginLeft: 46,
    ariaLabel: 'Error by layer',
    ariaDescription: 'Two curves of SQNR over the position in the network. The table of layers holds the same figures.',
    x: { label: 'layer, in graph order', tickFormat: (d: number) => (Number.isInteger(d) ? String(d) : '') },
    y: { label: 'SQNR (dB)', grid: true, nice: true },
    marks: [
      ...curve('accumulated', 'none'),
      ...curve('isolated', '5 3'),
      ruleX(points, pointerX({ ...near, x: 'position', stroke: COLOR.muted, strokeOpacity: 0.6 })),
      tip(points, pointerX({ ...near, ...TIP, x: 'position', y, title: describe })),
    ],
  })
  figure.classList.add('clickable')
  figure.addEventListener('click', () => {
    const point = figure.value as Point | null
    if (point) open(point.row)
  })
  return figure
}

function describe({ row, position }: Point): string {
  const { graphwise, isolated } = row.layer ?? {}
  return [
    `${position}. ${row.name}`,
    row.opType,
    ...(graphwise ? [`accumulated ${decibel(graphwise.sqnr)}`] : []),
    ...(isolated ? [`isolated ${decibel(isolated.sqnr)}`] : []),
  ].join('\n')
}
