import type { AnalysisReport, OutputMetrics } from '@fewbit/core/analysis'
import { count, decibel, figure, percent } from '@fewbit/core/util'
import { plainTable } from './data-table.ts'
import { el, facts } from './element.ts'
import { decisionOf, type LayerRow } from './layer-rows.ts'
import { tensorView } from './tensor-view.ts'

/** Everything that is known of one layer: what was decided and why, its errors, and its tensors. */
export function layerDetails(
  row: LayerRow,
  report: AnalysisReport,
  rows: readonly LayerRow[],
  open: (row: LayerRow) => void,
): HTMLElement {
  return el(
    'div',
    {},
    layerFacts(row, report),
    errors(row),
    ...row.tensors.map((tensor) => tensorView(tensor, report)),
    readTensors(row, rows, open),
  )
}

function layerFacts(row: LayerRow, report: AnalysisReport): HTMLElement {
  const { layer, plan } = row
  const accumulator = layer?.accumulator
  const sensitivity = report.sensitivity?.find(({ node }) => node === row.name)
  return facts([
    ['operator', row.opType],
    ['decision', decisionOf(row)],
    ['why', plan?.reason.text],
    ['bits', bitsText(row)],
    ['multiply-accumulates', layer?.macs === undefined ? undefined : count(layer.macs)],
    ['share of the noise', sensitivity && percent(sensitivity.noiseShare)],
    ['products in one sum', accumulator && count(accumulator.summands)],
    ['bits left in int32', accumulator && figure(accumulator.headroomBits)],
    [
      'pairs that can leave int16',
      accumulator?.saturablePairs === undefined ? undefined : percent(accumulator.saturablePairs),
    ],
  ])
}

export const bitsText = ({ layer }: LayerRow): string | undefined => {
  const { weight, activation } = layer?.bits ?? {}
  const parts = [
    ...(weight === undefined ? [] : [`w${weight}`]),
    ...(activation === undefined ? [] : [`a${activation}`]),
  ]
  return parts.length > 0 ? parts.join('\u00a0') : undefined
}

function errors({ layer }: LayerRow): HTMLElement | false {
  const kinds = [
    ['accumulated, this tensor', layer?.graphwise],
    ['isolated, the outputs', layer?.isolated],
    ['only its weights', layer?.weightsOnly],
    ['only its activations', layer?.activationsOnly],
  ] as const
  const known = kinds.flatMap(([name, metrics]) => (metrics ? [[name, ...metricCells(metrics)]] : []))
  return known.length > 0 && plainTable('Errors against float', ['', ...METRIC_HEADS], known)
}

export const METRIC_HEADS = ['SQNR', 'cosine', 'MSE', 'max error']

export const metricCells = ({ sqnr, cosine, mse, maxAbs }: OutputMetrics): string[] => [
  decibel(sqnr),
  cosine.toFixed(6),
  figure(mse),
  figure(maxAbs),
]

function readTensors(
  { inputs }: LayerRow,
  rows: readonly LayerRow[],
  open: (row: LayerRow) => void,
): HTMLElement | false {
  const links = inputs.map(({ value, layer }) => {
    const maker = rows.find(({ name }) => name === (layer ?? value))
    return el(
      'li',
      {},
      maker ? el('button', { type: 'button', class: 'link', click: () => open(maker) }, value) : value,
    )
  })
  return links.length > 0 && el('div', {}, el('h3', {}, 'Reads'), el('ul', { class: 'links' }, ...links))
}
