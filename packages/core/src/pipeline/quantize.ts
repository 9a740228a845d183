import type { AlgorithmRequest } from '../algorithms/index.ts'
import type { Model } from '../ir/index.ts'
import type { TraceEvent } from '../passes/index.ts'
import type { Dispatch, Override, ParamsTable, QuantPlan } from '../quant/index.ts'
import type { Diagnostic } from '../util/index.ts'
import type { CheckpointMemory } from './checkpoint-memory.ts'
import type { Data } from './data.ts'
import type { DataFreeOptions } from './data-free.ts'
import { prepareAndPlan } from './make-plan.ts'
import { type Produced, produce } from './produce.ts'
import { measure, type QuantizeReport } from './quantize-report.ts'
import type { Recipe } from './recipe.ts'
import { Run, type RunOptions } from './run.ts'
import { settingsOf } from './settings.ts'

export interface QuantizeOptions extends RunOptions {
  readonly target?: string
  /** Default the target's, which is `w8a8` mostly. */
  readonly scheme?: string
  readonly calibration: {
    /** Needed unless the run is data-free. */
    readonly data?: Data
    /** Ranges from what BatchNormalization remembers: no data are read, and nothing is measured. */
    readonly dataFree?: true | DataFreeOptions
    /** Default 128, evenly spread over the data. */
    readonly samples?: number
    /** `auto` (default) or a name from `OBSERVERS`. */
    readonly observer?: string
    readonly observerOptions?: Readonly<Record<string, number>>
    readonly batchSize?: number
  }
  /** Scored before and after. Without it, errors on the calibration data are reported and called so. */
  readonly evaluation?: { readonly data: Data; readonly samples?: number; readonly metrics?: readonly string[] }
  /** A name from `OBSERVERS`; default `minmax`. */
  readonly weightObserver?: string
  readonly perTensor?: boolean
  readonly activations?: 'signed' | 'unsigned'
  /** Who is quantized; default the target's habit. */
  readonly dispatch?: Dispatch
  /** Default `float`, except on targets that run integers only. */
  readonly tails?: 'float' | 'quantize'
  /** Bits of the first and the last layer, whatever the scheme. */
  readonly edgeBits?: number
  readonly overrides?: readonly Override[]
  /** By name, or with options; they run in the order of the registry. */
  readonly algorithms?: readonly (string | AlgorithmRequest)[]
  readonly floatOps?: readonly string[]
  /** Names of nodes to leave in float: a list of sensitive ones, for instance. */
  readonly floatNodes?: readonly string[]
  /** Leaves that many layers in float: those that lose most when only they are quantized. Default 0. */
  readonly floatWorst?: number
  /** Default `float`: layers at the input that are too small for integer kernels to be faster stay in float. */
  readonly smallLayers?: 'float' | 'integer'
  readonly seed?: number
  /**
   * Repeats an earlier run: settings and choice come from the recipe, and nothing is searched. With the same model and data the result
   * has the same bytes. Only `target` and `scheme` may be given beside it.
   */
  readonly recipe?: Recipe
  /** Takes data whose digest is not the recipe's, with a warning. */
  readonly allowOtherData?: boolean
  /** Where finished blocks of `brecq`, `qdrop` and `adaquant` are kept. */
  readonly checkpoint?: CheckpointMemory
  /**
   * Goes on from the checkpoint, to the same network as without a stop, if there is one; one of another run is refused. `if-same`: one of another
   * run counts as none.
   */
  readonly resume?: boolean | 'if-same'
}

export interface QuantizeResult {
  readonly model: Model
  /** The prepared float network that plan and parameters speak of, as algorithms left it: what exporters start from. */
  readonly float: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly report: QuantizeReport
  readonly recipe: Recipe
  readonly trace: readonly TraceEvent[]
  readonly diagnostics: readonly Diagnostic[]
}

/** Planning needs no data. */
export type PlanOptions = Omit<
  QuantizeOptions,
  'calibration' | 'evaluation' | 'recipe' | 'allowOtherData' | 'checkpoint' | 'resume'
>

export interface PlanResult {
  readonly plan: QuantPlan
  /** The prepared network that the plan speaks of. */
  readonly float: Model
  readonly trace: readonly TraceEvent[]
  readonly diagnostics: readonly Diagnostic[]
}

/** Decides who is quantized and how, without data. The caller's model is not changed. */
export async function planModel(model: Model, options: PlanOptions): Promise<PlanResult> {
  const run = new Run(options)
  const settings = settingsOf(options, run)
  const { float, plan } = await prepareAndPlan(model, settings, run)
  return { plan, float, trace: run.trace, diagnostics: [...run.diagnostics.list, ...plan.diagnostics] }
}

/**
 * Quantizes a float network: prepare, plan, calibrate in one pass, choose by measuring, write QDQ, measure what it cost. The
 * caller's model is not changed.
 * @throws FewbitError PLAN_ALREADY_QUANTIZED, SPEC_TRAINING, CALIB_*, DATA_*, OPTION_*, RECIPE_*, CHECKPOINT_*; the signal's reason when aborted.
 */
export async function quantize(model: Model, options: QuantizeOptions): Promise<QuantizeResult> {
  const run = new Run(options)
  return report(model, await produce(model, options, run), options, run)
}

/** Measures what was produced. */
export async function report(
  model: Model,
  made: Produced,
  options: QuantizeOptions,
  run: Run,
): Promise<QuantizeResult> {
  const { model: quantized, float, plan, params, recipe } = made
  adviseRounding(made, run)
  const measured = await measure({ ...made, original: model, float: made.reference, quantized, options }, run)
  const diagnostics = [...run.diagnostics.list, ...plan.diagnostics]
  return { model: quantized, float, plan, params, report: measured, recipe, trace: run.trace, diagnostics }
}

/** From this many bits on, rounding to the nearest costs little. */
const ENOUGH_BITS = 7

/** Who asks for few bits without an algorithm gets the worst that these bits can do, and is told. */
function adviseRounding({ plan, algorithms }: Produced, { diagnostics }: Run): void {
  const bits = Math.min(...plan.tensors.filter(({ role }) => role === 'weight').map(({ spec }) => spec.bits))
  if (bits >= ENOUGH_BITS || algorithms.some(({ stage }) => stage === 'weights')) return
  diagnostics.warn('WEIGHTS_NEAREST', `weights of ${bits} bits were rounded to the nearest code, one by one`, {
    fix: 'add --algorithm coordinate-descent, which rounds them by what the layer makes of its inputs',
  })
}
