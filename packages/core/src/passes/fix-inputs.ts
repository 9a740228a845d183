import { asTensor, cloneModel, isStatic, type Model, Tensor, type TensorType } from '../ir/index.ts'
import { problem } from '../util/index.ts'

/** Contents of graph inputs by name: a tensor, its elements in order, or one number for all of them. */
export type FixedInputs = Readonly<Record<string, number | readonly number[] | Tensor>>

/**
 * A copy in which some inputs are constants: what depends on them alone can be folded from then on, the conditions of branches included.
 * @throws FewbitError INPUT_FIXED for names that no input has, and for contents that do not fit its type and shape.
 */
export function fixInputs(original: Model, values: FixedInputs): Model {
  const model = cloneModel(original)
  const { inputs, initializers } = model.graph
  for (const [name, content] of Object.entries(values)) {
    const input = inputs.find((value) => value.name === name)
    if (!input) {
      throw problem('INPUT_FIXED', `the network has no input "${name}"`, {
        at: { value: name },
        fix: `name one of ${inputs.map((value) => value.name).join(', ')}`,
      })
    }
    input.constant = contentOf(name, asTensor(input.type), content)
    input.type = { kind: 'tensor', dtype: input.constant.dtype, shape: input.constant.dims }
    initializers.add(input)
    inputs.splice(inputs.indexOf(input), 1)
  }
  model.irVersion = Math.max(4, model.irVersion)
  return model
}

function contentOf(name: string, type: TensorType | undefined, content: FixedInputs[string]): Tensor {
  if (!type) throw unfit(name, 'is no tensor', 'leave it an input')
  const { dtype, shape } = type
  const given = content instanceof Tensor ? content.dims : isStatic(shape) ? shape : undefined
  if (!given)
    throw unfit(name, `has the shape [${shape?.join()}], which is open`, 'give a tensor of the size that it is to have')
  const count = given.reduce((n, d) => n * d, 1)
  const elements = typeof content === 'number' ? Array<number>(count).fill(content) : content
  const fits =
    !shape || (shape.length === given.length && shape.every((d, i) => typeof d !== 'number' || d === given[i]))
  if (elements instanceof Tensor) {
    if (!fits || elements.dtype !== dtype)
      throw unfit(name, `is ${dtype}[${shape?.join()}]`, 'give a tensor of this type')
    return elements
  }
  if (elements.length !== count)
    throw unfit(name, `has ${count} elements, not ${elements.length}`, 'give as many, or one for all')
  return Tensor.fromNumbers(dtype, given, elements)
}

const unfit = (name: string, what: string, fix: string): Error =>
  problem('INPUT_FIXED', `the input "${name}" ${what}`, { at: { value: name }, fix })
