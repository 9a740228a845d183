/** How two runs of one tensor of codes differ. */
export interface Agreement {
  readonly elements: number
  /** Elements that differ. */
  readonly different: number
  /** Greatest difference in codes: in units of the last place. */
  readonly worst: number
}

/** Adds up over samples. */
export class AgreementCounter {
  #elements = 0
  #different = 0
  #worst = 0

  /** @param apart the difference of element i in codes. */
  add(count: number, apart: (i: number) => number): void {
    this.#elements += count
    for (let i = 0; i < count; i++) {
      const difference = apart(i)
      if (difference === 0) continue
      this.#different++
      if (!(difference <= this.#worst)) this.#worst = difference
    }
  }

  get agreement(): Agreement {
    return { elements: this.#elements, different: this.#different, worst: this.#worst }
  }
}
