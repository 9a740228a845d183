import type { BatchRecord } from './stats.ts'

/** Most elements that a series keeps before it lets every second one of each batch go. */
export const MAX_ELEMENTS = 2 ** 18
/** Batches that a series keeps: the latest ones. */
const MAX_RECORDS = 4096

/** Records of batches in their order, in bounded memory. */
export class SeriesBuilder {
  #records: BatchRecord[] = []
  #elements = 0
  /** Every so many elements of a batch are kept. */
  #step = 1

  add(record: BatchRecord): void {
    const kept = { ...record, values: every(record.values, this.#step) }
    this.#records.push(kept)
    this.#elements += kept.values.length
    if (this.#records.length > MAX_RECORDS) this.#elements -= this.#records.shift()?.values.length ?? 0
    while (this.#elements > MAX_ELEMENTS) this.#thin()
  }

  build(): readonly BatchRecord[] {
    return this.#records
  }

  #thin(): void {
    this.#step *= 2
    this.#records = this.#records.map((record) => ({ ...record, values: every(record.values, 2) }))
    this.#elements = this.#records.reduce((sum, { values }) => sum + values.length, 0)
  }
}

export function joinSeries(records: Iterable<BatchRecord>): readonly BatchRecord[] {
  const builder = new SeriesBuilder()
  for (const record of records) builder.add(record)
  return builder.build()
}

const every = (values: Float32Array, step: number): Float32Array =>
  step === 1 ? values : values.filter((_, i) => i % step === 0)
