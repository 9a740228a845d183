import { asTensor } from '../../ir/index.ts'
import { timeLeft } from '../../util/index.ts'
import type { Unit } from './units.ts'

/** Says how far the reconstruction is, and how long the rest takes at the pace so far. */
export class Pace {
  readonly #sizes: readonly number[]
  readonly #now: () => number
  /** Seconds and size of the steps of units that are trained in this run. */
  #spent = { seconds: 0, work: 0 }
  #began = 0

  /** @param now milliseconds. */
  constructor(units: readonly Unit[], now: () => number = () => performance.now()) {
    this.#sizes = units.map(sizeOf)
    this.#now = now
  }

  begin(): void {
    this.#began = this.#now()
  }

  /** @param share of the unit's steps that are done. */
  note(index: number, share: number): string {
    const done = share * (this.#sizes[index] ?? 0)
    const seconds = this.#spent.seconds + this.#passed
    const pace = seconds / (this.#spent.work + done)
    const rest = this.#sizes.slice(index).reduce((a, b) => a + b, 0) - done
    return `block ${index + 1}/${this.#sizes.length}, ${timeLeft(pace * rest)} left`
  }

  end(index: number): void {
    const { seconds, work } = this.#spent
    this.#spent = { seconds: seconds + this.#passed, work: work + (this.#sizes[index] ?? 0) }
  }

  get #passed(): number {
    return (this.#now() - this.#began) / 1000
  }
}

/** Elements that a unit makes of a sample, which the time of a step goes with, roughly. */
function sizeOf({ nodes }: Unit): number {
  const outputs = [...nodes].flatMap((node) => node.outputs.filter((y) => y !== null))
  const elements = outputs.map(({ type }) =>
    (asTensor(type)?.shape ?? []).reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1),
  )
  return elements.reduce((a, b) => a + b, 0)
}
