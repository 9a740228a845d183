import { z } from 'zod'
import { digest, problem } from '../util/index.ts'
import { MAX_BINS } from './histogram.ts'
import type { StatsTable, TensorStats } from './stats.ts'

const numbers = z.array(z.number()).transform((values) => Float64Array.from(values))

const singles = z.array(z.number()).transform((values) => Float32Array.from(values))

const histogramSchema = z
  .strictObject({ width: z.number().positive(), first: z.number().int().max(0), counts: numbers })
  .refine(({ first, counts }) => counts.length > -first && counts.length <= MAX_BINS, 'bins do not reach zero')

const tensorSchema = z.strictObject({
  count: z.number().int().positive(),
  min: z.number(),
  max: z.number(),
  histogram: histogramSchema.optional(),
  moments: z.strictObject({ sum: z.number(), sumOfMagnitudes: z.number(), sumOfSquares: z.number() }).optional(),
  series: z
    .array(z.strictObject({ count: z.number().int(), min: z.number(), max: z.number(), values: singles }))
    .optional(),
  margins: numbers.optional(),
  channels: z.strictObject({ axis: z.number().int(), min: numbers, max: numbers }).optional(),
})

const tableSchema = z.strictObject({
  format: z.literal('fewbit-statistics'),
  version: z.literal(1),
  tensors: z.array(z.tuple([z.string(), tensorSchema])),
})

/** Statistics as plain JSON, value by value in the table's order. */
export interface StatsJSON {
  readonly format: 'fewbit-statistics'
  readonly version: 1
  readonly tensors: readonly (readonly [string, unknown])[]
}

export function statsToJSON(table: StatsTable): StatsJSON {
  const tensors = [...table].map(([value, stats]) => [value, tensorToJSON(stats)] as const)
  return { format: 'fewbit-statistics', version: 1, tensors }
}

/** @throws FewbitError CALIB_FORMAT for anything that `statsToJSON` cannot have written. */
export function statsFromJSON(json: unknown): StatsTable {
  const parsed = tableSchema.safeParse(json)
  if (!parsed.success) {
    const notes = parsed.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw problem('CALIB_FORMAT', 'this is not a table of calibration statistics', { notes })
  }
  return new Map(parsed.data.tensors.map(([value, stats]) => [value, tensorFromJSON(stats)]))
}

/** SHA-256 of the statistics: equal for equal data, model and requests, however the data were batched. */
export const statsDigest = (table: StatsTable): string => digest(JSON.stringify(statsToJSON(table)))

function tensorToJSON({ count, min, max, histogram, moments, series, margins, channels }: TensorStats) {
  return {
    count,
    min,
    max,
    ...(histogram && { histogram: { ...histogram, counts: [...histogram.counts] } }),
    ...(moments && { moments }),
    ...(series && { series: series.map((record) => ({ ...record, values: [...record.values] })) }),
    ...(margins && { margins: [...margins] }),
    ...(channels && { channels: { axis: channels.axis, min: [...channels.min], max: [...channels.max] } }),
  }
}

/** Without the statistics that are not there: absent, not undefined. */
const tensorFromJSON = (stats: z.output<typeof tensorSchema>): TensorStats =>
  Object.fromEntries(Object.entries(stats).filter(([, value]) => value !== undefined)) as unknown as TensorStats
