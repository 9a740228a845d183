import {
  asTensor,
  cloneModel,
  GraphBuilder,
  type Model,
  type Node,
  nestedGraphs,
  Tensor,
  tensorType,
  type Value,
  valuesByName,
} from '../ir/index.ts'
import { GRADIENT_OPSET, type OpRegistry } from '../ops/index.ts'
import { convertOpset, expandRecurrent, inferShapes, PASSES, type PassContext } from '../passes/index.ts'
import { Diagnostics, must, problem } from '../util/index.ts'
import { Backward } from './backward.ts'

export interface DifferentiateOptions {
  readonly ops: OpRegistry
  /** Name of the value to differentiate: a float tensor of one element. */
  readonly loss: string
  /** Names of the values to differentiate by: inputs, initializers or values in between, of floating point. */
  readonly by: readonly string[]
  /** Sizes of graph inputs with open dimensions. Some rules need them. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
}

export interface DifferentiatedModel {
  /** A copy with the outputs of the original and, behind them, one gradient for each of `by`, in order. */
  readonly model: Model
  /** Output that holds the gradient, by the name of the value. */
  readonly gradients: ReadonlyMap<string, string>
}

/**
 * Reverse-mode differentiation from graph to graph: the result computes the gradients of a loss in the same run as the outputs.
 * The copy is raised to opset 18 first, if it is below.
 * @throws FewbitError AUTODIFF_OPERATOR naming a node between loss and values that has no gradient; AUTODIFF_SHAPE naming a node
 * whose gradient needs a size that is open; AUTODIFF_VALUE for names that do not exist, values that are no floats, a loss of more
 * than one element, or one that does not depend on a value; OPSET_* where the model cannot be raised.
 */
export function differentiate(original: Model, options: DifferentiateOptions): DifferentiatedModel {
  const model = readyToDifferentiate(original, options.ops, options.shapes)
  const values = valuesByName(model.graph)
  const loss = floatValue(values, options.loss)
  const shape = asTensor(loss.type)?.shape
  if (!shape?.every((d) => d === 1)) {
    const fix = 'reduce it to one number first, such as the mean over a batch'
    throw problem('AUTODIFF_VALUE', `the loss "${loss.name}" has more than one element`, {
      at: { value: loss.name },
      fix,
    })
  }
  const builder = new GraphBuilder(model.graph)
  const one = builder.constant('grad_loss', Tensor.fromNumbers(dtypeOf(loss), shape as number[], [1]))
  const by = options.by.map((name) => floatValue(values, name))
  const gradients = pullBack(model, options.ops, new Map([[loss, one]]), by)
  const names = options.by.map((name, i) => {
    const gradient = builder.op('Identity', [must(gradients[i], 'gradient')], {}, { output: `grad_${name}` })
    gradient.type = by[i]?.type
    return [name, builder.output(gradient).name] as const
  })
  inferShapes(model, { ops: options.ops })
  return { model, gradients: new Map(names) }
}

/**
 * A copy in which gradients can be written: at opset 18 or later, with types and shapes inferred, branches that sizes decide taken, recurrent
 * operators step by step.
 */
export function readyToDifferentiate(
  original: Model,
  ops: OpRegistry,
  shapes: DifferentiateOptions['shapes'] = {},
): Model {
  const model = cloneModel(original)
  for (const input of model.graph.inputs) {
    const [type, dims] = [asTensor(input.type), shapes[input.name]]
    if (type && dims) input.type = tensorType(type.dtype, dims)
  }
  const cx = { ops, diagnostics: new Diagnostics(), trace: () => {} }
  convertOpset(GRADIENT_OPSET).run(model, cx)
  inferShapes(model, { ops })
  takeBranches(model, cx)
  if (expandRecurrent(model) > 0) inferShapes(model, { ops })
  return model
}

/** Puts every branch in the place of its If that constants and known sizes decide for; those inside of it next. */
function takeBranches(model: Model, cx: PassContext): void {
  const count = () => [...nestedGraphs(model.graph)].flatMap((graph) => [...graph.nodes].filter(isIf)).length
  for (let left = count(), before = Infinity; left > 0 && left < before; ) {
    before = left
    PASSES['constant-to-initializer'].run(model, cx)
    PASSES['simplify-shapes'].run(model, cx)
    PASSES['inline-if'].run(model, cx)
    inferShapes(model, { ops: cx.ops })
    left = count()
  }
}

const isIf = (node: Node): boolean => node.qualifiedType === 'If'

/**
 * Writes the gradients of Σ ⟨value, seed⟩ into a graph that is ready (`readyToDifferentiate`): the vector-Jacobian product.
 * @param seeds gradients of the loss by the values that it is computed from.
 * @returns a gradient for each value of `by`, in order; zeros where only derivatives that are zero lie between.
 * @throws FewbitError as `differentiate`.
 */
export function pullBack(
  model: Model,
  ops: OpRegistry,
  seeds: ReadonlyMap<Value, Value>,
  by: readonly Value[],
): Value[] {
  return new Backward(model, ops).run(seeds, by)
}

function floatValue(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name)
  const at = { value: name }
  if (!value) throw problem('AUTODIFF_VALUE', `the model's main graph has no value "${name}"`, { at })
  const dtype = asTensor(value.type)?.dtype
  if (!dtype?.startsWith('float') && dtype !== 'bfloat16') {
    throw problem('AUTODIFF_VALUE', `"${name}" is ${dtype ?? 'not a tensor'}; only floats have gradients`, { at })
  }
  return value
}

const dtypeOf = (value: Value) => asTensor(value.type)?.dtype ?? 'float32'
