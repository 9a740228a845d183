import { type AnalysisReport, metricText, type ParetoReport } from '@fewbit/core/analysis'
import { bytes, count } from '@fewbit/core/util'
import { dot, line, plot, pointer, tip } from '@observablehq/plot'
import { COLOR, chart, legend, TIP } from './chart.ts'
import { dataTable } from './data-table.ts'
import { folded, type Section, section } from './section.ts'

type Point = ParetoReport['points'][number]

export function paretoSection({ pareto }: AnalysisReport): Section | undefined {
  if (!pareto || pareto.points.length === 0) return undefined
  const better = pareto.higherIsBetter ? 'higher' : 'lower'
  const keys = [['on the front', 'isolated'] as const, ['beaten by another', 'beaten'] as const]
  const chosen = pareto.chosen === undefined ? [] : [['taken', 'accumulated'] as const]
  const caption = `${pareto.metric} (${better} is better) over the size of the model.`
  return section(
    'pareto',
    'Size against accuracy',
    'Networks of different widths that were tried; on the front, no other is both smaller and better.',
    chart(caption, (width) => draw(pareto, width), legend([...keys, ...chosen])),
    folded(`the ${pareto.points.length} points as a table`, () => pointTable(pareto)),
  )
}

const describe = (point: Point, { metric, unit }: ParetoReport): string =>
  [
    ...(point.label ? [point.label] : []),
    `${bytes(point.size)}, ${metric} ${metricText(metric, point.metric)}`,
    `budget ${count(point.budget)} ${unit}`,
  ].join('\n')

function draw(pareto: ParetoReport, width: number): Element {
  const points = pareto.points.filter(({ metric }) => Number.isFinite(metric))
  const front = points.filter(({ onFront }) => onFront).sort((a, b) => a.size - b.size)
  const taken = pareto.chosen === undefined ? undefined : pareto.points[pareto.chosen]
  const at = { x: 'size', y: 'metric' }
  return plot({
    width,
    height: Math.max(220, Math.min(340, width * 0.4)),
    marginLeft: 52,
    ariaLabel: 'Size against accuracy',
    x: { label: 'size of the model', tickFormat: bytes, ticks: Math.max(3, Math.floor(width / 130)), nice: true },
    y: { label: pareto.metric, grid: true, nice: true, reverse: !pareto.higherIsBetter },
    marks: [
      line(front, { ...at, stroke: COLOR.isolated, strokeWidth: 1.75, curve: 'step-after' }),
      dot(points, { ...at, r: 4, fill: (p: Point) => (p.onFront ? COLOR.isolated : COLOR.muted) }),
      ...(taken ? [dot([taken], { ...at, r: 8, stroke: COLOR.chosen, strokeWidth: 2.5 })] : []),
      tip(points, pointer({ ...at, ...TIP, title: (p: Point) => describe(p, pareto) })),
    ],
  })
}

function pointTable(pareto: ParetoReport): HTMLElement {
  const { element } = dataTable<Point>(
    'Points',
    [
      { head: 'network', value: (p) => p.label ?? `budget ${count(p.budget)}` },
      { head: 'size', numeric: true, value: (p) => p.size, show: (p) => bytes(p.size) },
      { head: pareto.unit, numeric: true, value: (p) => p.budget, show: (p) => count(p.budget) },
      { head: pareto.metric, numeric: true, value: (p) => p.metric, show: (p) => metricText(pareto.metric, p.metric) },
      { head: 'front', value: (p) => (p.onFront ? 'yes' : '') },
    ],
    pareto.points,
  )
  return element
}
