import { invariant } from '../util/index.ts'
import type { Node } from './graph.ts'

interface Link {
  node: Node | null
  previous: Link
  next: Link
  /** Ascends along the list; halfway between the neighbours at insertion. */
  order: number
}

/**
 * A doubly linked list that may change while it is iterated: removing any node is safe, nodes inserted after the current
 * one are visited, nodes inserted before it are not.
 */
export class NodeList implements Iterable<Node> {
  readonly #root: Link
  readonly #links = new Map<Node, Link>()

  constructor() {
    const root = { node: null, order: 0 } as Link
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
    const link: Link = { node, previous: next.previous, next, order: 0 }
    link.previous.next = link
    next.previous = link
    this.#links.set(node, link)
    this.#place(link)
  }

  remove(node: Node): void {
    const link = this.#link(node)
    link.previous.next = link.next
    link.next.previous = link.previous
    // `link.previous` stays, so that an iterator standing here finds its way back into the list.
    link.node = null
    this.#links.delete(node)
  }

  /** True if `a` stands before `b`. Constant time: every link carries an order number. */
  isBefore(a: Node, b: Node): boolean {
    return this.#link(a).order < this.#link(b).order
  }

  /** Puts the nodes into the given order, which must name every node once. */
  reorder(nodes: readonly Node[]): void {
    invariant(
      nodes.length === this.length && new Set(nodes).size === nodes.length,
      () => 'not a permutation of the list',
    )
    const links = nodes.map((node) => this.#link(node))
    let previous = this.#root
    for (const link of links) {
      previous.next = link
      link.previous = previous
      link.order = previous.order + 1
      previous = link
    }
    previous.next = this.#root
    this.#root.previous = previous
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

  /** Gives a new link its order number; renumbers everything once the gap between the neighbours is used up. */
  #place(link: Link): void {
    const low = link.previous.order
    const high = link.next === this.#root ? low + 2 : link.next.order
    link.order = (low + high) / 2
    if (low < link.order && link.order < high) return
    let order = 0
    for (let l = this.#root.next; l !== this.#root; l = l.next) l.order = ++order
  }

  #link(node: Node): Link {
    const link = this.#links.get(node)
    invariant(link, () => `node "${node.name}" is not in the list`)
    return link
  }
}
