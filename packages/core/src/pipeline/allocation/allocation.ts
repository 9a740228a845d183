import { z } from 'zod'
import { analysisSchema, type ParetoReport, type SensitivityEntry } from '../../analysis/index.ts'
import type { Override } from '../../quant/index.ts'
import { problem } from '../../util/index.ts'
import type { Evaluation } from '../evaluate.ts'
import type { QuantizeOptions } from '../quantize.ts'
import { liveSettings, type Recipe } from '../recipe.ts'
import type { Sensitivity, SensitivityName } from './sensitivity.ts'

/** One budget in figures, in its unit. */
export interface BudgetReport {
  readonly title: string
  readonly unit: string
  readonly limit: number
  readonly used: number
  /** With the cheapest and with the dearest choice everywhere. */
  readonly smallest: number
  readonly largest: number
}

/** One choice for the whole network. */
export interface UniformReport extends Sensitivity {
  readonly choice: string
  /** In the order of the budgets. */
  readonly used: readonly number[]
}

/** Schemes of single nodes, with what they were chosen by. JSON. */
export interface Allocation {
  readonly format: 'fewbit-allocation'
  readonly version: 1
  /** The float model: names, structure and weights. */
  readonly modelDigest: string
  /** As in a recipe. */
  readonly settings: Recipe['settings']
  readonly choices: readonly string[]
  /** By name of node. */
  readonly nodes: Readonly<Record<string, string>>
  readonly budgets: readonly BudgetReport[]
  readonly by: SensitivityName
  readonly samples: number
  readonly solver: string
  /** Largest first, of groups at the choice with the fewest bits. */
  readonly sensitivity: readonly SensitivityEntry[]
  /** Error of the outputs as the sum over groups says; absent for the sensitivity `layer`, which does not speak of outputs. */
  readonly predicted?: Sensitivity
  /** Of the mixed network itself. */
  readonly measured: Sensitivity
  readonly uniform: readonly UniformReport[]
  readonly pareto?: ParetoReport
  readonly evaluation?: { readonly before: Evaluation; readonly after: Evaluation }
  readonly versions: Recipe['versions']
  readonly seconds: Readonly<Record<string, number>>
}

/** The part that decides; the rest is evidence, which a reader may leave unread. */
const decidingSchema = z.looseObject({
  format: z.literal('fewbit-allocation'),
  version: z.literal(1),
  modelDigest: z.string(),
  settings: z.looseObject({
    target: z.string(),
    scheme: z.string(),
    samples: z.int().positive(),
    seed: z.int().nonnegative(),
  }),
  nodes: z.record(z.string(), z.string()),
})

export type DecidedAllocation = Pick<Allocation, 'modelDigest' | 'settings' | 'nodes'>

/**
 * Reads an allocation.
 * @throws FewbitError ALLOCATION_FORMAT
 */
export function parseAllocation(json: string, file?: string): DecidedAllocation {
  const parsed = decidingSchema.safeParse(readJson(json))
  if (parsed.success) return parsed.data
  throw problem('ALLOCATION_FORMAT', 'this is not an allocation', {
    ...(file === undefined ? {} : { at: { file } }),
    notes: parsed.error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.') || 'allocation'}: ${message}`),
    fix: 'name a file that fewbit allocate wrote',
  })
}

function readJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** Settings that say how a network is quantized, and not on which data or how long the search takes. */
const PLANNING = [
  ...['target', 'scheme', 'weightObserver', 'perTensor', 'activations', 'smallLayers', 'dispatch', 'tails', 'edgeBits'],
  ...['floatOps', 'floatNodes', 'floatWorst', 'algorithms', 'seed'],
] as const

/** What `quantize` takes to build the mixed network; options of the caller may be spread over it, except overrides, which go behind. */
export function allocationOptions(allocation: DecidedAllocation): Omit<QuantizeOptions, 'calibration' | 'engine'> {
  const settings = liveSettings(allocation)
  const own = Object.entries(allocation.nodes).map(([name, scheme]): Override => ({ match: { name }, scheme }))
  const kept = Object.fromEntries(
    PLANNING.flatMap((key) => (settings[key] === undefined ? [] : [[key, settings[key]]])),
  )
  return { ...kept, overrides: [...own, ...(settings.overrides as readonly Override[])] }
}

const frontSchema = z.looseObject({ format: z.literal('fewbit-allocation'), pareto: analysisSchema.shape.pareto })

/**
 * The front of budgets and errors that an allocation was chosen from, for a report; nothing where none was swept.
 * @throws FewbitError ALLOCATION_FORMAT
 */
export function allocationFront(json: string, file?: string): { readonly pareto?: ParetoReport } {
  parseAllocation(json, file)
  const { pareto } = frontSchema.parse(JSON.parse(json))
  return pareto ? { pareto } : {}
}
