import { cloneModel, freezeInputDefaults, type Model, type Tensor, valuesByName } from '../ir/index.ts'
import { GRADIENT_OPSET, type LearnedRole, type OpRegistry } from '../ops/index.ts'
import { convertOpset, inferShapes, PASSES } from '../passes/index.ts'
import { Diagnostics, problem } from '../util/index.ts'
import { trainBatchNorm } from './batch-norm.ts'
import { trainDropout } from './dropout.ts'
import { learnedParameters } from './parameters.ts'

/**
 * A network in the form in which it trains. Initializers have the same names as in the form in which it is evaluated and saved, so that
 * trained state is written into that form by name (`withState`).
 */
export interface Trainable {
  /** Opset 18 or later. Graph inputs are data, and noise that each step feeds; outputs are those of the network. */
  readonly model: Model
  /** Initializers that gradients change. */
  readonly parameters: readonly Parameter[]
  /** Initializer → value that holds its next content: running statistics, observers' averages. */
  readonly updates: ReadonlyMap<string, string>
  /** Inputs that each step fills from the seeded generator. */
  readonly random?: readonly RandomInput[]
}

export interface Parameter {
  readonly name: string
  readonly kind: LearnedRole | 'quantizer'
}

/** An input of noise. Its shape is that of the graph input; an open first axis is the batch. */
export interface RandomInput {
  readonly name: string
  /** `uniform` in [0, 1); standard `normal`; a `mask` of 1/keep with probability `keep`, else 0. */
  readonly fill: { readonly kind: 'uniform' | 'normal' } | { readonly kind: 'mask'; readonly keep: number }
}

export interface TrainableOptions {
  /**
   * `batch` (default): BatchNormalization works on the statistics of each batch and averages them for evaluation. `fixed`: it keeps the
   * statistics that it has, as for small batches.
   */
  readonly batchNorm?: 'batch' | 'fixed'
}

/**
 * A float network in the form in which it trains: BatchNormalization on statistics of the batch, Dropout by fed masks. Parameters are
 * weights, biases, normalizations' scales and shifts, and constant vectors behind the first of them.
 * @throws FewbitError TRAIN_PARAMETERS where nothing can be trained; OPSET_* where the model cannot be raised.
 */
export function trainable(model: Model, ops: OpRegistry, { batchNorm = 'batch' }: TrainableOptions = {}): Trainable {
  const copy = cloneModel(model)
  const cx = { ops, diagnostics: new Diagnostics(), trace: () => {} }
  PASSES['constant-to-initializer'].run(copy, cx)
  freezeInputDefaults(copy)
  convertOpset(GRADIENT_OPSET).run(copy, cx)
  inferShapes(copy, { ops })
  const parameters = learnedParameters(copy, ops)
  if (parameters.length === 0) {
    throw problem('TRAIN_PARAMETERS', 'the network has no float32 weights that could be trained', {
      fix: 'convert it to float32 and undo its quantization first',
    })
  }
  const updates = batchNorm === 'batch' ? trainBatchNorm(copy) : new Map<string, string>()
  const random = trainDropout(copy)
  inferShapes(copy, { ops })
  return { model: copy, parameters, updates, random }
}

/**
 * A copy of the form that is evaluated, with trained state in it.
 * @param state tensors by initializer; names that the form does not have are left out, as those of the training form alone.
 */
export function withState(model: Model, state: ReadonlyMap<string, Tensor>, ops: OpRegistry): Model {
  const copy = cloneModel(model)
  const missing = (): boolean => [...state.keys()].some((name) => !valuesByName(copy.graph).get(name)?.constant)
  if (missing()) {
    PASSES['constant-to-initializer'].run(copy, { ops, diagnostics: new Diagnostics(), trace: () => {} })
  }
  const values = valuesByName(copy.graph)
  for (const [name, tensor] of state) {
    const value = values.get(name)
    if (value?.constant) value.constant = tensor
  }
  return copy
}
