import { must } from '../util/index.ts'
import { type BatchStats, StatsAccumulator } from './accumulate.ts'
import type { StatRequest } from './requests.ts'
import { partElements, SamplePosition } from './sampling.ts'
import type { Statistic } from './stats.ts'

/** Step of a sample that has one element at most. */
const NOTHING = Number.MAX_SAFE_INTEGER
/** Statistics that need elements themselves. */
const SAMPLED: readonly Statistic[] = ['histogram', 'elements', 'series']

/** How a value is laid out in a batch: as one row where it has no blocks. */
export interface RowShape {
  readonly rows: number
  readonly size: number
}

/** How one value is sampled, and what is known of it so far. */
export class MeasuredValue {
  readonly request: StatRequest
  readonly position: SamplePosition
  readonly accumulator: StatsAccumulator
  readonly #block: number | undefined

  /** @param block elements of a block, where the value has blocks. */
  constructor(request: StatRequest, block: number | undefined, step = NOTHING) {
    this.request = request
    this.position = new SamplePosition(step)
    this.accumulator = new StatsAccumulator(step)
    this.#block = block
  }

  /** The same value with another stride. */
  taking(step: number): MeasuredValue {
    return new MeasuredValue(this.request, this.#block, step)
  }

  get isSampled(): boolean {
    return this.request.wants.some((statistic) => SAMPLED.includes(statistic))
  }

  /** Rows and elements a row, read off the front of `sizes`. */
  shape(sizes: Iterator<number>): RowShape {
    const rows = this.#block === undefined ? 1 : next(sizes)
    return { rows, size: next(sizes) * (this.#block ?? 1) }
  }

  /** What leaves the engine behind the reductions: a sample of the elements, or all of them, and then blocks. */
  part(rest: Float32Array, shape: RowShape, isStrided: boolean): Pick<BatchStats, 'sample' | 'tails' | 'values'> {
    if (!this.isSampled) return {}
    const picks = this.position.picks(shape.rows * shape.size)
    const sample = isStrided ? rest.subarray(0, picks) : this.position.pick(rest)
    const { wants } = this.request
    const kept = wants.includes('elements') || wants.includes('series') ? { values: sample.slice() } : {}
    if (!wants.includes('histogram')) return kept
    if (this.#block === undefined || this.position.step === 1) return { sample, ...kept }
    const blocks = rest.subarray(picks)
    return { ...partElements({ ...shape, sample, blocks, block: this.#block }, this.position), ...kept }
  }
}

const next = (numbers: Iterator<number>): number => must(numbers.next().value as number | undefined, 'size')
