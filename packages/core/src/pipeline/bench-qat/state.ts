import { z } from 'zod'

const scores = z.record(z.string(), z.number())

const cellSchema = z.strictObject({
  model: z.string(),
  scheme: z.string(),
  target: z.string(),
  algorithm: z.string(),
  /** The backend has no kernels for these bits: its rules were taken at them all the same. */
  beyond: z.boolean().optional(),
  /** What the deployed network ran on. */
  measuredOn: z.enum(['backend', 'simulation']).optional(),
  /** Scores of the network with fake-quantizers, before training and after. */
  before: scores.optional(),
  qfloat: scores.optional(),
  /** Scores of the converted network. */
  deployed: scores.optional(),
  /** Share of outputs of the converted network that are within a step of the trained one's, 0 to 1. */
  within: z.number().optional(),
  /** Mean over the last steps that were recorded together. */
  loss: z.number().optional(),
  seconds: z.number(),
  /** Why there is no result. */
  refused: z.strictObject({ code: z.string(), reason: z.string() }).optional(),
})

/** One method on one target. JSON. */
export type QatCell = z.infer<typeof cellSchema>

export const benchSchema = z.strictObject({
  format: z.literal('fewbit-qat-bench'),
  version: z.literal(1),
  /** Everything that all cells share: recipe, data, digests of the networks. */
  settings: z.record(z.string(), z.unknown()),
  /** Scores of the float networks. */
  float: z.record(z.string(), scores),
  /** How float networks were trained that say so in their metadata: `TrainRecipe`. */
  training: z.record(z.string(), z.unknown()).optional(),
  cells: z.array(cellSchema),
})

/** A table of methods and targets, finished or not. JSON. */
export type QatBench = z.infer<typeof benchSchema>

/** Where a benchmark keeps what is finished. */
export interface QatBenchMemory {
  /** Names the place in messages, such as a file. */
  readonly name: string
  load(): Promise<unknown>
  save(bench: QatBench): Promise<void>
}
