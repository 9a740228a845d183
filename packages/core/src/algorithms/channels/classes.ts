/**
 * Channels that must be scaled alike, as disjoint sets (union-find with path halving). Class 0 holds what must not be scaled at all.
 */
export class ChannelClasses {
  readonly #parent: number[] = [0]
  /** Classes that pass an operator for which only positive factors commute, such as Relu. */
  readonly #positive = new Set<number>()

  /** Classes of their own, as many as asked for. */
  fresh(count: number): Int32Array {
    const first = this.#parent.length
    for (let i = 0; i < count; i++) this.#parent.push(first + i)
    return Int32Array.from({ length: count }, (_, i) => first + i)
  }

  /** Number of class numbers given out, merged or not. */
  get count(): number {
    return this.#parent.length
  }

  /** The number that stands for the whole class; 0 where the scale is fixed. */
  find(id: number): number {
    const parent = this.#parent
    let at = id
    while (parent[at] !== at) {
      parent[at] = parent[parent[at] as number] as number
      at = parent[at] as number
    }
    return at
  }

  join(a: number, b: number): void {
    const [ra, rb] = [this.find(a), this.find(b)]
    if (ra !== rb) this.#parent[Math.max(ra, rb)] = Math.min(ra, rb)
  }

  joinAll(a: Int32Array, b: Int32Array): void {
    for (let i = 0; i < a.length; i++) this.join(a[i] as number, b[i] as number)
  }

  fix(ids: Int32Array): void {
    for (const id of ids) this.join(id, 0)
  }

  onlyPositive(ids: Int32Array): void {
    for (const id of ids) this.#positive.add(id)
  }

  /** The classes that take positive factors only. */
  positive(): ReadonlySet<number> {
    return new Set([...this.#positive].map((id) => this.find(id)))
  }
}
