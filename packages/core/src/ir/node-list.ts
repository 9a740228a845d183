import { invariant } from '../util/index.ts'
import type { Node } from './graph.ts'

interface Link {
  node: Node | null
  previous: Link
  next: Link
}

/**
 * A doubly linked list that may change while it is iterated: removing any node is safe, nodes inserted after the current
 * one are visited, nodes inserted before it are not.
 */
export class NodeList implements Iterable<Node> {
  readonly #root: Link
  readonly #links = new Map<Node, Link>()

  constructor() {
    const root = { node: null } as Link
    root.previous = root
    root.next = root
    this.#root = root
  }

  get length(): number {
    return this.#links.size
  }

  has(node: Node): boolean {
    return this.#links.has(node)
  }

  insert(node: Node, at: { before?: Node; after?: Node } = {}): void {
    invariant(!this.#links.has(node), () => `node "${node.name}" is already in the list`)
    const next = at.before ? this.#link(at.before) : at.after ? this.#link(at.after).next : this.#root
    const link: Link = { node, previous: next.previous, next }
    link.previous.next = link
    next.previous = link
    this.#links.set(node, link)
  }

  remove(node: Node): void {
    const link = this.#link(node)
    link.previous.next = link.next
    link.next.previous = link.previous
    // `link.previous` stays, so that an iterator standing here finds its way back into the list.
    link.node = null
    this.#links.delete(node)
  }

  get first(): Node | null {
    return this.#root.next.node
  }

  get last(): Node | null {
    return this.#root.previous.node
  }

  *[Symbol.iterator](): IterableIterator<Node> {
    yield* this.#walk('next', 'previous')
  }

  *reversed(): IterableIterator<Node> {
    yield* this.#walk('previous', 'next')
  }

  *#walk(forward: 'next' | 'previous', back: 'next' | 'previous'): IterableIterator<Node> {
    let link = this.#root[forward]
    while (link !== this.#root) {
      if (link.node) yield link.node
      while (link !== this.#root && link.node === null) link = link[back]
      link = link[forward]
    }
  }

  #link(node: Node): Link {
    const link = this.#links.get(node)
    invariant(link, () => `node "${node.name}" is not in the list`)
    return link
  }
}
