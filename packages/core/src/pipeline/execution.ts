import type { LoadOptions } from '../engine/index.ts'
import { recordedSettings } from '../import/index.ts'
import type { Model } from '../ir/index.ts'
import type { MaterializeOptions, Target } from '../quant/index.ts'
import { knownTarget } from '../targets/index.ts'
import type { Run } from './run.ts'

/** How a quantized network is written and loaded so that the engine at hand computes what the backend would. */
export interface Execution {
  readonly form: NonNullable<MaterializeOptions['form']>
  readonly load: LoadOptions
  /** The engine is the backend itself, so that times are its times. */
  readonly isBackend: boolean
}

/** ONNX Runtime runs its own targets with integer kernels; every other backend is simulated in float between quantizers. */
export function executionFor(target: Target): Execution {
  return target.engine === 'onnxruntime'
    ? { form: 'qdq', load: {}, isBackend: true }
    : { form: 'simulate', load: { optimization: 'simulate' }, isBackend: false }
}

/** The backend that the model was quantized for, if its recipe names one of these. */
export function recordedTarget(model: Model, targets: Readonly<Record<string, Target>>): Target | undefined {
  const name = recordedSettings(model)?.target
  return name === undefined ? undefined : knownTarget(name, targets)
}

/** How to load a model that may have been quantized for another backend than the engine. */
export function loadOptionsFor(model: Model, { registries }: Run): LoadOptions {
  const target = recordedTarget(model, registries.targets)
  return target ? executionFor(target).load : {}
}
