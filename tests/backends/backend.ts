import type { Feeds } from '@fewbit/core/engine'
import type { OnCodesOptions, SchemeName } from '@fewbit/core/integer'
import type { Model } from '@fewbit/core/ir'
import type { ParamsTable, QuantPlan, Target } from '@fewbit/core/quant'

/** A network quantized for one target, and the samples that simulation and backend run. */
export interface Case {
  readonly network: string
  readonly target: Target
  /** The prepared network that the plan speaks of. Clone it before changing it. */
  readonly float: Model
  /** The same with QuantizeLinear and DequantizeLinear: what the simulation runs. */
  readonly quantized: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly samples: readonly Feeds[]
}

/** Tensors by the name of their value in the float network, samples one behind the other. */
export type Values = ReadonlyMap<string, ArrayLike<number>>

export interface BackendRun {
  readonly version: string
  readonly outputs: Values
  /** Dequantized intermediates, where the engine shows them: for finding the first layer that differs. */
  readonly layers?: Values
}

/** An engine that runs the artefacts of a target. */
export interface Backend {
  readonly name: string
  readonly title: string
  /** The target whose plan and artefacts it runs. */
  readonly target: string
  /** Share of output elements within one step that the engine has to reach; the others are reported only. */
  readonly criterion?: number
  /** What the simulation has to know of its kernels; `real`: they compute on real values, as the plain simulation does. */
  readonly arithmetic?: OnCodesOptions | 'real'
  /** The arithmetic of the interpreter in whole numbers that its kernels have. */
  readonly integers?: SchemeName
  /** Kinds of random layers that it runs, where it runs nothing else. */
  readonly kinds?: readonly string[]
  /** Kinds of random layers in which it is known to differ from the interpreter, with the reason. */
  readonly deviations?: Readonly<Record<string, string>>
  /** Known reasons for differences, in the words of the report. */
  readonly causes: readonly string[]
  /** Why it cannot run on this machine, or undefined. Installs what it needs. */
  unavailable?(): string | undefined
  /** @param folder an empty folder of its own, for artefacts and tensors. */
  run(cx: Case, folder: string): Promise<BackendRun>
}

/** Share of output elements that must lie within one step of the simulation. */
export const CRITERION = 0.999
