import { type Child, el } from './element.ts'
import { type SortValue, sortedBy } from './sorted.ts'

export interface Column<T> {
  readonly head: string
  /** What the column means, in a sentence. */
  readonly help?: string
  value(row: T): SortValue
  /** Without it, the value as it is. */
  show?(row: T): Child
  readonly numeric?: boolean
  /** The cell that names the row; by default the first. */
  readonly namesRow?: boolean
  /** The first click sorts from the largest down. */
  readonly largestFirst?: boolean
}

export interface DataTable<T> {
  readonly element: HTMLElement
  /** The rows that pass the filter, in the order on the page. */
  visible(): readonly T[]
  show(keep: (row: T) => boolean): void
}

/** More rows than anybody reads make a page slow: they are drawn when asked for. Filters and sorting see all of them. */
const FIRST_ROWS = 250

/** A table whose columns sort by a click on their head. With `open`, a click on a row, or on a button in it, opens the row. */
export function dataTable<T extends object>(
  caption: string,
  columns: readonly Column<T>[],
  rows: readonly T[],
  open?: (row: T) => void,
): DataTable<T> {
  const body = el('tbody')
  const more = el('button', { type: 'button', class: 'more' })
  const draw = rowDrawer(body, columns, open)
  let order = rows
  let keep: (row: T) => boolean = () => true
  let limit = FIRST_ROWS
  const visible = () => order.filter(keep)
  const redraw = (): void => {
    const all = visible()
    body.replaceChildren(...all.slice(0, limit).map(draw))
    more.hidden = all.length <= limit
    more.textContent = `Show all ${all.length} rows`
  }
  more.addEventListener('click', () => {
    limit = Number.POSITIVE_INFINITY
    redraw()
  })
  const heads = sortableHeads(columns, (key, descending) => {
    order = sortedBy(rows, key, descending)
    redraw()
  })
  redraw()
  const table = el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, ...heads)), body)
  return {
    element: el('div', {}, scrolling(caption, table), more),
    visible,
    show(wanted) {
      keep = wanted
      redraw()
    },
  }
}

const scrolling = (caption: string, table: HTMLElement): HTMLElement =>
  el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption }, table)

/** Makes each row once. */
function rowDrawer<T extends object>(body: HTMLElement, columns: readonly Column<T>[], open?: (row: T) => void) {
  const made = new Map<T, HTMLElement>()
  const rowOf = new WeakMap<Element, T>()
  if (open) {
    body.classList.add('clickable')
    body.addEventListener('click', ({ target }) => {
      const row = rowOf.get((target as Element).closest('tr') as Element)
      if (row) open(row)
    })
  }
  return (row: T): HTMLElement => {
    const element = made.get(row) ?? rowElement(row, columns)
    made.set(row, element)
    rowOf.set(element, row)
    return element
  }
}

function sortableHeads<T>(
  columns: readonly Column<T>[],
  sort: (key: Column<T>['value'], descending: boolean) => void,
): HTMLElement[] {
  const heads = columns.map((column) =>
    headElement(column, (head) => {
      const before = head.getAttribute('aria-sort')
      const descending = before === null ? (column.largestFirst ?? false) : before === 'ascending'
      for (const other of heads) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', descending ? 'descending' : 'ascending')
      sort(column.value, descending)
    }),
  )
  return heads
}

function headElement<T>({ head, help, numeric }: Column<T>, sort: (head: HTMLElement) => void): HTMLElement {
  const button = el('button', { type: 'button', title: help, click: () => sort(cell) }, head)
  const cell = el('th', { scope: 'col', class: numeric ? 'number' : undefined, 'data-head': head }, button)
  return cell
}

function rowElement<T>(row: T, columns: readonly Column<T>[]): HTMLElement {
  const name = columns.find(({ namesRow }) => namesRow) ?? columns[0]
  const cells = columns.map((column) => {
    const content = column.show ? column.show(row) : column.value(row)
    const kind = { class: column.numeric ? 'number' : undefined }
    return column === name ? el('th', { scope: 'row', ...kind }, content) : el('td', kind, content)
  })
  return el('tr', {}, ...cells)
}

/** A small table that is read, not sorted. The first column heads its row, and the first `texts` columns are words. */
export function plainTable(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly Child[])[],
  texts = 1,
): HTMLElement {
  const kind = (i: number) => ({ class: i < texts ? undefined : 'number' })
  const cell = (content: Child, i: number) =>
    i === 0 ? el('th', { scope: 'row' }, content) : el('td', kind(i), content)
  const heads = head.map((text, i) => el('th', { scope: 'col', ...kind(i) }, text))
  const table = el(
    'table',
    {},
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, ...heads)),
    el('tbody', {}, ...rows.map((row) => el('tr', {}, ...row.map(cell)))),
  )
  return scrolling(caption, table)
}
