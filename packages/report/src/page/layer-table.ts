import type { TensorReport } from '@fewbit/core/analysis'
import { count, decibel, figure, percent } from '@fewbit/core/util'
import { barred } from './chart.ts'
import { type Column, dataTable } from './data-table.ts'
import { el } from './element.ts'
import { bitsText } from './layer-details.ts'
import { decisionOf, drawable, type LayerFilter, type LayerRow, largest, passes } from './layer-rows.ts'

export interface LayerTable {
  readonly element: HTMLElement
  visible(): readonly LayerRow[]
}

/** The table of layers with its filters. The name of a layer opens its drawer. */
export function layerTable(rows: readonly LayerRow[], open: (row: LayerRow) => void): LayerTable {
  const table = dataTable('Layers', columnsFor(rows), rows, open)
  const shown = el('output', {})
  const apply = (filter: LayerFilter): void => {
    table.show((row) => passes(row, filter))
    const left = table.visible().length
    shown.textContent = left === rows.length ? `${rows.length} rows` : `${left} of ${rows.length} rows`
  }
  const controls = filters(rows, apply)
  controls.append(shown)
  return { element: el('div', {}, controls, table.element), visible: table.visible }
}

function filters(rows: readonly LayerRow[], apply: (filter: LayerFilter) => void): HTMLElement {
  const text = el('input', { type: 'search', placeholder: 'name or operator' })
  const opType = choice(
    'all operators',
    rows.map((row) => row.opType),
  )
  const decision = choice('all decisions', rows.map(decisionOf))
  const atMost = el('input', { type: 'number', step: 1, placeholder: 'dB', class: 'short' })
  const changed = (): void =>
    apply({
      text: text.value,
      opType: opType.value,
      decision: decision.value,
      atMost: atMost.value === '' ? undefined : Number(atMost.value),
    })
  changed()
  return el(
    'form',
    {
      class: 'filters',
      role: 'search',
      input: changed,
      submit: (event) => event.preventDefault(),
      reset: () => setTimeout(changed),
    },
    el('label', {}, 'Find ', text),
    opType.options.length > 2 && el('label', {}, 'Operator ', opType),
    decision.options.length > 2 && el('label', {}, 'Decision ', decision),
    el('label', {}, 'SQNR at most ', atMost),
    el('button', { type: 'reset' }, 'Clear'),
  )
}

function choice(all: string, values: readonly string[]): HTMLSelectElement {
  const names = [...new Set(values)].filter((name) => name !== '').sort()
  return el('select', {}, el('option', { value: '' }, all), ...names.map((name) => el('option', { value: name }, name)))
}

/** Columns that at least one row has something to say in. */
function columnsFor(rows: readonly LayerRow[]): Column<LayerRow>[] {
  return [POSITION, nameColumn, ...PLAIN, ...errorColumns(rows), ...TENSORS].filter((column) =>
    rows.some((row) => (column.value(row) ?? '') !== ''),
  )
}

/** A button for keyboards; its click is the row's. */
const nameColumn: Column<LayerRow> = {
  ...{ head: 'layer', namesRow: true },
  value: (row) => row.name,
  show: (row) => el('button', { type: 'button', class: 'link', 'aria-haspopup': 'dialog' }, row.name),
}

const POSITION: Column<LayerRow> = {
  ...{ head: '#', help: 'position in the graph', numeric: true },
  value: (row) => row.index + 1,
}

const PLAIN: readonly Column<LayerRow>[] = [
  { head: 'operator', value: (row) => row.opType },
  { head: 'decision', value: decisionOf },
  { head: 'bits', help: 'of weights (w) and activations (a)', value: bitsText },
  {
    ...{ head: 'MACs', help: 'multiply-accumulates of one sample', numeric: true, largestFirst: true },
    value: ({ layer }) => layer?.macs,
    show: ({ layer }) => (layer?.macs ? count(layer.macs) : ''),
  },
]

/** SQNR with a bar that is empty for the best layer of the column and full for the worst. */
function errorColumns(rows: readonly LayerRow[]): Column<LayerRow>[] {
  const columns = [
    ['accumulated', 'SQNR of the tensor that the layer makes, everything quantized', 'graphwise'],
    ['isolated', 'SQNR of the outputs, with only this layer quantized', 'isolated'],
  ] as const
  return columns.map(([kind, help, key]) => {
    const values = rows.map(({ layer }) => drawable(layer?.[key]?.sqnr)).filter((db) => db !== undefined)
    const best = Math.max(...values)
    const span = best - Math.min(...values)
    return {
      ...{ head: kind, help, numeric: true },
      value: ({ layer }) => layer?.[key]?.sqnr,
      show: ({ layer }) => {
        const db = layer?.[key]?.sqnr
        return db === undefined ? '' : barred(decibel(db), (best - db) / span, kind)
      },
    }
  })
}

const tensorColumn = (
  head: string,
  help: string,
  pick: (tensor: TensorReport) => number | undefined,
  write: (value: number) => string,
): Column<LayerRow> => ({
  ...{ head, help, numeric: true, largestFirst: true },
  value: (row) => largest(row, pick),
  show: (row) => {
    const value = largest(row, pick)
    return value === undefined ? '' : write(value)
  },
})

const TENSORS = [
  tensorColumn(
    'saturated',
    'largest share of elements outside of what the codes cover',
    (t) => t.saturated,
    (v) => percent(v, 2),
  ),
  tensorColumn(
    'zeros',
    'largest share of elements whose code stands for zero',
    (t) => t.zeros,
    (v) => percent(v, 0),
  ),
  tensorColumn('channels', 'widest ÷ narrowest range of channels', (t) => t.channels?.rangeRatio, figure),
]
