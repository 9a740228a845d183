export type Child = Node | string | number | undefined | false

export type Attributes = Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>

/** An element; functions among the attributes listen, `true` is an attribute without value, `undefined` and `false` leave it out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value)
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...present(children))
  return element
}

const present = (children: readonly Child[]): (Node | string)[] =>
  children.flatMap((child) =>
    child === undefined || child === false ? [] : [typeof child === 'number' ? String(child) : child],
  )

/** Term and description pairs; pairs without a value are left out. */
export function facts(pairs: readonly (readonly [term: string, value: Child])[]): HTMLElement {
  const known = pairs.filter(([, value]) => value !== undefined && value !== false && value !== '')
  return el(
    'dl',
    { class: 'facts' },
    ...known.map(([term, value]) => el('div', {}, el('dt', {}, term), el('dd', {}, value))),
  )
}
