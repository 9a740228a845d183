import type { Shape, Tensor } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import type { Sample } from './dataset.ts'
import { formatType, type ModelInput } from './inputs.ts'

/**
 * Checks one sample against the model. The first axis may be 1 where the model's is anything, because batching fills it.
 * @throws FewbitError DATA_INPUT, DATA_DTYPE or DATA_SHAPE naming the sample and the input.
 */
export function checkSample(sample: Sample, inputs: readonly ModelInput[]): void {
  for (const input of inputs) {
    const tensor = sample.feeds[input.name]
    if (!tensor) throw missing(sample, input)
    const given = formatType(tensor.dtype, tensor.dims)
    const wanted = formatType(input.dtype, input.shape)
    const message = `sample "${sample.id}" has ${given} for input "${input.name}", which takes ${wanted}`
    if (tensor.dtype !== input.dtype) throw problem('DATA_DTYPE', message, { at: { value: input.name } })
    if (!fits(tensor.dims, input.shape)) throw problem('DATA_SHAPE', message, shapeHint(tensor, input))
  }
  const unknown = Object.keys(sample.feeds).find((name) => !inputs.some((input) => input.name === name))
  if (unknown !== undefined) throw surplus(sample, unknown, inputs)
}

function fits(dims: Shape, shape: Shape | undefined): boolean {
  if (!shape) return true
  if (dims.length !== shape.length) return false
  return shape.every((dim, i) => typeof dim !== 'number' || dims[i] === dim || (i === 0 && dims[0] === 1))
}

function shapeHint(tensor: Tensor, input: ModelInput) {
  const at = { value: input.name }
  const [n = 1, a = 1, b = 1, c = 1] = tensor.dims
  const permuted = [
    [n, c, a, b],
    [n, b, c, a],
  ]
  if (tensor.dims.length === 4 && permuted.some((dims) => fits(dims, input.shape))) {
    return { at, fix: 'the axes are in another order: choose the other layout (nchw or nhwc), or transpose the array' }
  }
  return { at, fix: 'resize or reshape the data to the shape that the model takes' }
}

function missing(sample: Sample, input: ModelInput): Error {
  const names = Object.keys(sample.feeds).join(', ') || 'nothing'
  return problem('DATA_INPUT', `sample "${sample.id}" has no tensor for input "${input.name}"; it has ${names}`, {
    at: { value: input.name },
    fix: 'samples need one tensor for each model input, under its name',
  })
}

function surplus(sample: Sample, name: string, inputs: readonly ModelInput[]): Error {
  const known = inputs.map((input) => input.name).join(', ')
  return problem('DATA_INPUT', `sample "${sample.id}" has a tensor "${name}", but the model takes ${known}`, {
    at: { value: name },
  })
}
