import { type Child, el } from './element.ts'

export interface Section {
  readonly id: string
  readonly title: string
  readonly element: HTMLElement
}

/** A part of the report: a heading, one sentence that says what is shown, and the contents. */
export function section(id: string, title: string, says: string, ...contents: readonly Child[]): Section {
  const heading = el('h2', { id: `${id}-title` }, title)
  const element = el(
    'section',
    { id, 'aria-labelledby': `${id}-title` },
    heading,
    el('p', { class: 'says' }, says),
    ...contents,
  )
  return { id, title, element }
}

/** Contents that are opened when wanted, and drawn only then. */
export function folded(summary: string, draw: () => Node): HTMLElement {
  const details = el('details', {}, el('summary', {}, summary))
  details.addEventListener('toggle', () => drawNow(details), { once: true })
  drawers.set(details, () => details.append(draw()))
  return details
}

const drawers = new WeakMap<Element, () => void>()

function drawNow(details: Element): void {
  drawers.get(details)?.()
  drawers.delete(details)
}

/** Opens and draws all that is folded or left for later, for paper, and gives back what closes it again. */
export function unfoldAll(): () => void {
  const closed = [...document.querySelectorAll<HTMLDetailsElement>('details:not([open])')]
  for (const details of closed) {
    drawNow(details)
    details.open = true
  }
  for (const button of document.querySelectorAll<HTMLElement>('button.more:not([hidden])')) button.click()
  return () => {
    for (const details of closed) details.open = false
  }
}
