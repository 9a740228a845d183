import { asTensor, attribute, type Node, Tensor } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { Decline, decline, rule } from '../rule.ts'
import { freshName, shapeOf } from '../rule-context.ts'
import { type Affine, inferenceAffine } from './fold-batchnorm.ts'

interface Match {
  readonly norm: Node
  readonly rank: number
  readonly affine: Affine
}

/**
 * BatchNormalization at inference is a·x + c for each channel, and so is a depthwise convolution whose kernels have one tap. For backends that
 * have no other kernel for it: weights get a scale for each channel, and the result is rounded once.
 */
export const batchNormToConv = rule<Match>({
  name: 'batchnorm-to-conv',
  summary: 'turn BatchNormalization into a depthwise Conv with kernels of one tap',
  anchor: ['BatchNormalization'],
  match(norm, cx) {
    const shape = shapeOf(norm.inputs[0])
    const channels = shape?.[1]
    if (!shape || typeof channels !== 'number') return decline('the number of channels is not known')
    if (shape.length < 3) return decline('a matrix has no axes to convolve')
    if (asTensor(norm.inputs[0]?.type)?.dtype !== 'float32') return decline('its data is not float32')
    const affine = inferenceAffine(norm, channels, cx)
    return affine instanceof Decline ? affine : { norm, rank: shape.length, affine }
  },
  rewrite({ norm, rank, affine: { a, c } }) {
    const graph = must(norm.graph, 'graph of the node')
    const ones = Array<number>(rank - 2).fill(1)
    const add = (suffix: string, dims: readonly number[], values: Float64Array) =>
      graph.addInitializer(freshName(graph, `${norm.name}_${suffix}`), Tensor.fromNumbers('float32', dims, values))
    norm.truncateInputs(1)
    norm.truncateOutputs(1)
    norm.setInput(1, add('weight', [a.length, 1, ...ones], a))
    norm.setInput(2, add('bias', [c.length], c))
    norm.opType = 'Conv'
    norm.attributes.clear()
    norm.attributes.set('group', attribute.int(a.length))
    norm.attributes.set('kernel_shape', attribute.ints(ones))
    return 'became a depthwise Conv'
  },
})
