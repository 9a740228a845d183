import type { DataSource, Dataset } from './dataset.ts'

/** Data in two parts that share no sample. */
export interface Split<D> {
  /** Every so many samples one, beginning with the first. */
  readonly held: D
  /** All others. */
  readonly rest: D
}

interface Part {
  /** For recipes. */
  readonly text: string
  has(i: number): boolean
  /** How many of so many samples. */
  count(length: number): number
}

const parts = (every: number): Split<Part> => ({
  held: { text: `one of ${every}`, has: (i) => i % every === 0, count: (n) => Math.ceil(n / every) },
  rest: { text: `all but one of ${every}`, has: (i) => i % every > 0, count: (n) => n - Math.ceil(n / every) },
})

/**
 * Holds out every so many samples one, for scores, where there are no other data for those. Samples that follow each other by class, as those of folders do, are
 * held out in equal shares.
 * @param every 2 or more.
 * @param samples at most so many of each part, evenly spread.
 */
export function splitDataset(data: Dataset, every: number, samples: Partial<Split<number>> = {}): Split<Dataset> {
  const { held, rest } = parts(every)
  return { held: partOf(data, held, samples.held), rest: partOf(data, rest, samples.rest) }
}

/** The same of data that are not fitted to a network yet. */
export function splitSource(source: DataSource, every: number): Split<DataSource> {
  const { held, rest } = parts(every)
  const sourceOf = (part: Part): DataSource => ({
    name: source.name,
    open: async (inputs, samples) => partOf(await source.open(inputs), part, samples),
  })
  return { held: sourceOf(held), rest: sourceOf(rest) }
}

/** @param samples only so many, evenly spread; all where nobody knows how many there are. */
function partOf(whole: Dataset, part: Part, samples = Number.POSITIVE_INFINITY): Dataset {
  const { name, synthetic, pictures } = whole
  const all = whole.length === undefined ? undefined : part.count(whole.length)
  const length = all === undefined ? undefined : Math.min(all, samples)
  const chosen = <T>(items: AsyncIterable<T>) => spread(within(items, part), all ?? 1, length ?? 1)
  return {
    name,
    ...(length !== undefined && { length }),
    ...(synthetic && { synthetic }),
    samples: () => chosen(whole.samples()),
    ...(pictures && { pictures: { ...pictures, read: () => chosen(pictures.read()) } }),
    toJSON: () => ({ ...whole.toJSON(), part: part.text, ...(length !== undefined && { samples: length }) }),
  }
}

async function* within<T>(items: AsyncIterable<T>, part: Part): AsyncGenerator<T> {
  let i = 0
  for await (const item of items) if (part.has(i++)) yield item
}

/** `count` of `all` items, evenly spread. */
async function* spread<T>(items: AsyncIterable<T>, all: number, count: number): AsyncGenerator<T> {
  let i = 0
  for await (const item of items) {
    if (Math.floor((i * count) / all) < Math.floor(((i + 1) * count) / all)) yield item
    i++
  }
}
