import { z } from 'zod'
import type { DistillOptions } from './distilled-data.ts'

const recorded = z.object({
  kind: z.literal('distilled'),
  samples: z.int().positive(),
  batchSize: z.int().positive(),
  iterations: z.int().positive(),
  rate: z.number().positive(),
  seed: z.int().nonnegative(),
  inputRange: z.tuple([z.number(), z.number()]).optional(),
  dims: z.record(z.string(), z.number()),
})

/** The options with which distilled data were made, from what they say of themselves in a recipe; undefined for other data. */
export function recordedDistillation(data: unknown): DistillOptions | undefined {
  const stated = recorded.safeParse(data)
  if (!stated.success) return undefined
  const { kind: _, inputRange, ...options } = stated.data
  return inputRange ? { ...options, inputRange } : options
}
