import { el } from './element.ts'

/** Colours of the series; the style sheet has them for light and dark. */
export const COLOR = {
  accumulated: 'var(--accumulated)',
  isolated: 'var(--isolated)',
  range: 'var(--range)',
  bars: 'var(--bars)',
  muted: 'var(--muted)',
  chosen: 'var(--accumulated)',
}

/** Marks that Plot's tips are drawn in. */
export const TIP = { fill: 'var(--panel)', stroke: 'var(--line)', fontSize: 12, lineHeight: 1.35 }

/** A figure with a caption whose drawing is as wide as the page lets it be, and drawn anew when that changes. */
export function chart(caption: string, draw: (width: number) => Element, legend?: Element): HTMLElement {
  const holder = el('div', { class: 'drawing' })
  let drawn = 0
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry?.contentRect.width ?? 0)
    // On paper the drawing is scaled: drawing anew would come too late.
    if (width === 0 || width === drawn || matchMedia('print').matches) return
    drawn = width
    const drawing = draw(width)
    presentAsImage(drawing)
    holder.replaceChildren(drawing)
  }).observe(holder)
  return el('figure', {}, ...(legend ? [legend] : []), holder, el('figcaption', {}, caption))
}

/** Plot names the groups of its drawing, which ARIA allows for no plain group: one name for the whole image stays. */
function presentAsImage(drawing: Element): void {
  drawing.setAttribute('role', 'img')
  for (const group of drawing.querySelectorAll('[aria-label]')) group.removeAttribute('aria-label')
}

/** Names of series with the strokes that they are drawn in. */
export function legend(series: readonly (readonly [name: string, kind: string])[]): HTMLElement {
  return el('div', { class: 'legend' }, ...series.map(([name, kind]) => el('span', { class: `key ${kind}` }, name)))
}

/** A figure behind a horizontal bar of a share from 0 to 1, which is empty for NaN. */
export function barred(text: string, share: number, kind: string): HTMLElement {
  const length = Math.max(0, Math.min(1, share)) || 0
  const bar = el('span', { class: `bar ${kind}`, 'aria-hidden': 'true', style: `--share:${length}` })
  return el('span', { class: 'barred' }, bar, el('span', {}, text))
}
