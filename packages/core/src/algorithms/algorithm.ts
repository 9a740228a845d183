import type { Dataset, Engine, LoadOptions } from '../engine/index.ts'
import type { Model, Tensor } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { PassContext } from '../passes/index.ts'
import type { QuantForm, QuantParams, QuantPlan, Target } from '../quant/index.ts'
import type { OptionsOf, OptionTable, OptionValues } from '../util/index.ts'
import type { ChannelMoments } from './norm-statistics.ts'

/**
 * When an algorithm runs. `float`: on the prepared float network, before anything is planned or measured. `weights`: when plan and
 * parameters stand, on weights and their scales. `finish`: on biases and normalization, when all weights have their final values.
 */
export type AlgorithmStage = 'float' | 'weights' | 'finish'

export const ALGORITHM_STAGES = ['float', 'weights', 'finish'] as const satisfies readonly AlgorithmStage[]

/** What algorithms of every stage get. */
export interface AlgorithmContext {
  /** The prepared float network; algorithms edit it in place. Names of graph inputs and outputs stay. */
  readonly model: Model
  readonly target: Target
  readonly ops: OpRegistry
  readonly engine: Engine
  /** Absent in a data-free run. */
  readonly data?: CalibrationData
  /**
   * What BatchNormalization remembers of the values that it made, by value name; from before it was folded. A rewrite that scales or
   * shifts channels of such a value enters the new moments, or deletes the entry.
   */
  readonly norms: Map<string, ChannelMoments>
  /** Of every random choice. */
  readonly seed: number
  /** For rules and passes; `passes.diagnostics` takes what the user has to know. */
  readonly passes: PassContext
  /** @param note what else there is to say, such as how long it will take. */
  readonly progress: (done: number, total?: number, note?: string) => void
  readonly signal?: AbortSignal
}

export interface CalibrationData {
  readonly dataset: Dataset
  /** Samples at most. */
  readonly samples: number
  /** Samples per run where the model allows it. */
  readonly batchSize: number
}

/** What algorithms get once plan and parameters stand. */
export interface QuantizedContext extends AlgorithmContext {
  readonly plan: QuantPlan
  /** Scale and zero point by group. Algorithms may set other scales for weights; those of biases follow by themselves. */
  readonly params: Map<string, QuantParams>
  /** The network before any algorithm of this stage or a later one: weights as trained. Not to be edited. */
  readonly reference: Model
  /** How the quantized network is written and loaded so that the engine computes what the backend would. */
  readonly form: QuantForm
  readonly load: LoadOptions
  /** Where finished parts are kept; absent where nobody wants to go on from them. */
  readonly parts?: PartsKeeper
}

/** A part of an algorithm's work that is done: a block of the network, say. */
export interface FinishedPart {
  /** JSON. */
  readonly facts: Readonly<Record<string, unknown>>
  readonly tensors: ReadonlyMap<string, Tensor>
}

/** Keeps finished parts of one algorithm, so that a run that was stopped goes on behind the last of them. */
export interface PartsKeeper {
  /** What an earlier run has kept, in its order. The network was the same when the algorithm began. */
  readonly earlier: readonly FinishedPart[]
  /** Keeps one more, behind `earlier`. */
  keep(part: FinishedPart): Promise<void>
}

/** What an algorithm did. */
export interface AlgorithmOutcome {
  /** Names of the nodes whose weights, scales or biases changed. */
  readonly changed: readonly string[]
  /** Sentences for the report: what was left alone, and why. */
  readonly notes?: readonly string[]
  /** Measurements of the algorithm's own. JSON. */
  readonly details?: Readonly<Record<string, unknown>>
}

interface AlgorithmFacts<O extends object> {
  readonly name: string
  readonly title: string
  readonly summary: string
  /** Paper or document. */
  readonly source: string
  readonly options: OptionsOf<O>
  /** Calibration data: without them the algorithm is refused, always or when an option has the value named. */
  readonly needsData: boolean | { readonly when: OptionValues }
  /** Every linear layer gets a bias of its own before planning, zeros where it had none, so that the plan gives it a scale. */
  readonly ownBiases?: true
}

/** Rewrites the float network so that it quantizes better. */
export interface FloatAlgorithm<O extends object = object> extends AlgorithmFacts<O> {
  readonly stage: 'float'
  /**
   * Greatest deviation of outputs from those before, as a share of each output's largest magnitude. A run that finds more undoes the
   * rewrite. `approximate`: the method changes the function by its nature; the deviation is reported.
   */
  readonly preserves: number | 'approximate'
  apply(cx: AlgorithmContext, options: O): Promise<AlgorithmOutcome>
}

/** Changes weights, their scales or biases of a network whose plan and parameters stand. */
export interface QuantizedAlgorithm<O extends object = object> extends AlgorithmFacts<O> {
  readonly stage: 'weights' | 'finish'
  /** The run takes back what this algorithm did if the outputs' SQNR falls by it. */
  readonly undoneOnLoss?: true
  /** Long work in parts, which it gives to `parts` and takes from there. */
  readonly resumable?: true
  /**
   * Weights that an algorithm rounds itself are left on their grids (`scale · code`), so that rounding to the nearest, which
   * materializing does, finds those codes again.
   */
  apply(cx: QuantizedContext, options: O): Promise<AlgorithmOutcome>
}

// Options differ from one algorithm to the next; what is called is checked against `options` before.
export type Algorithm = AnyOptions<FloatAlgorithm<never>> | AnyOptions<QuantizedAlgorithm<never>>

type AnyOptions<A> = Omit<A, 'options'> & { readonly options: OptionTable }

/** Whether it keeps finished parts. */
export const isResumable = (algorithm: Algorithm): boolean =>
  algorithm.stage !== 'float' && algorithm.resumable === true
