import { escapeHtml } from './embed.ts'

/** Text of a page that is ready to stand in it. */
export type Markup = { readonly html: string }

export type Part = Markup | string | number | undefined | false

const textOf = (part: Part): string => {
  if (part === undefined || part === false) return ''
  return typeof part === 'object' ? part.html : escapeHtml(String(part))
}

/** Markup from a template: what is put into it is text, unless it is markup itself. Lists are joined. */
export const html = (parts: TemplateStringsArray, ...values: readonly (Part | readonly Part[])[]): Markup => ({
  html: parts.reduce((done, part, i) => {
    const value = values[i - 1]
    return done + (Array.isArray(value) ? value.map(textOf).join('') : textOf(value as Part)) + part
  }),
})

/**
 * A table with headings for its columns; the first cell of a row is the row's heading. What is wider than the page scrolls by itself, by keys
 * too.
 */
export const tableOf = (caption: string, head: readonly string[], rows: readonly (readonly Part[])[]): Markup => html`
<div class="wide" role="region" tabindex="0" aria-label="${caption}"><table><caption>${caption}</caption>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(([first, ...cells]) => html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`
