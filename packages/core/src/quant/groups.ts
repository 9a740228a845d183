/** Disjoint sets (union-find with path halving). Items unknown so far are sets of their own. */
export class Groups<T> {
  readonly #parent = new Map<T, T>()

  /** The representative of the item's set. */
  find(item: T): T {
    let at = item
    for (let up = this.#parent.get(at); up !== undefined; up = this.#parent.get(at)) {
      const above = this.#parent.get(up)
      if (above !== undefined) this.#parent.set(at, above)
      at = up
    }
    return at
  }

  /** Merges two sets; the representative of `a` stays. */
  union(a: T, b: T): void {
    const [root, other] = [this.find(a), this.find(b)]
    if (root !== other) this.#parent.set(other, root)
  }

  same(a: T, b: T): boolean {
    return this.find(a) === this.find(b)
  }
}
