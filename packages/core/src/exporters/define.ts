import type { Model } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { ParamsTable, QuantPlan, Target } from '../quant/index.ts'
import type { Diagnostic } from '../util/index.ts'

/** One file of an export, by its name in the output folder. A model is written by whoever has a place to stream it to. */
export type Artifact =
  | { readonly kind: 'model'; readonly name: string; readonly model: Model }
  | { readonly kind: 'file'; readonly name: string; readonly bytes: Uint8Array }

export interface ExportContext {
  /** Base name of the artefacts, such as `resnet18`. */
  readonly name: string
  /** The float model that the plan was made for. The exporter owns it and may change it. */
  readonly model: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly target: Target
  /** Operators of the model; those of ONNX unless given. */
  readonly ops?: OpRegistry
}

/** Writes a quantized network in one deployable form. */
export interface Exporter {
  readonly name: string
  readonly summary: string
  /** What stands in the way of `emit`: errors stop the export. */
  check(cx: ExportContext): Diagnostic[]
  emit(cx: ExportContext): Artifact[]
}
