import type { AnalysisReport } from '@fewbit/core/analysis'
import { el } from './element.ts'
import { layerDetails } from './layer-details.ts'
import type { LayerRow } from './layer-rows.ts'

export interface LayerDrawer {
  readonly element: HTMLElement
  open(row: LayerRow): void
}

const PREFIX = '#layer='

/**
 * A panel at the side that shows one layer. Arrow keys go to its neighbours in the order that `order` gives, Escape closes, the address
 * names the layer. Contents are drawn when they are looked at.
 */
export function layerDrawer(
  rows: readonly LayerRow[],
  report: AnalysisReport,
  order: () => readonly LayerRow[],
): LayerDrawer {
  const title = el('h2', { id: 'drawer-title', tabindex: -1 })
  const contents = el('div', { class: 'contents' })
  const back = el('button', { type: 'button', 'aria-label': 'previous layer', click: () => step(-1) }, '←')
  const on = el('button', { type: 'button', 'aria-label': 'next layer', click: () => step(1) }, '→')
  const close = el('button', { type: 'button', 'aria-label': 'close', click: () => element.close() }, '×')
  const head = el('header', {}, title, el('div', { class: 'buttons' }, back, on, close))
  const element = el('dialog', { class: 'drawer', 'aria-labelledby': 'drawer-title' }, head, contents)
  let shown: LayerRow | undefined
  const neighbour = (by: number): LayerRow | undefined => {
    const visible = order()
    const at = shown ? visible.indexOf(shown) : -1
    return at < 0 ? rows[(shown?.index ?? 0) + by] : visible[at + by]
  }
  const open = (row: LayerRow): void => {
    shown = row
    title.textContent = row.name
    contents.replaceChildren(layerDetails(row, report, rows, open))
    back.disabled = !neighbour(-1)
    on.disabled = !neighbour(1)
    if (!element.open) element.showModal()
    title.focus()
    element.scrollTop = 0
    history.replaceState(null, '', `${PREFIX}${encodeURIComponent(row.name)}`)
  }
  const step = (by: number): void => {
    const row = neighbour(by)
    if (row) open(row)
  }
  element.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowLeft') step(-1)
    if (key === 'ArrowRight') step(1)
  })
  element.addEventListener('click', ({ target }) => {
    if (target === element) element.close()
  })
  printWhatIsOpen(element)
  element.addEventListener('close', () => history.replaceState(null, '', '#'))
  return { element, open }
}

/** Dialogs end at the first page of paper: a copy of what an open one shows is printed, and nothing else. */
function printWhatIsOpen(drawer: HTMLDialogElement): void {
  const paper = el('div', { class: 'on-paper' })
  addEventListener('beforeprint', () => {
    if (!drawer.open) return
    paper.replaceChildren(...[...drawer.children].map((child) => child.cloneNode(true)))
    document.body.append(paper)
  })
  addEventListener('afterprint', () => paper.remove())
}

/** The layer that the address names, if it names one. */
export function layerInAddress(rows: readonly LayerRow[]): LayerRow | undefined {
  if (!location.hash.startsWith(PREFIX)) return undefined
  const name = decodeURIComponent(location.hash.slice(PREFIX.length))
  return rows.find((row) => row.name === name)
}
