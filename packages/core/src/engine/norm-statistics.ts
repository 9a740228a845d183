import type { Model, Node, Value } from '../ir/index.ts'

/** A layer close to the input whose parameters tell what it was trained on. */
export interface FirstLayer {
  readonly node: Node
  /** The tensor to measure. */
  readonly value: Value
  readonly channels: number
}

/** A BatchNormalization: its running statistics describe `value`. */
export interface NormLayer extends FirstLayer {
  readonly mean: ArrayLike<number>
  readonly variance: ArrayLike<number>
}

/** Operators that data may pass on the way from an input: enough for cutting a picture into patches. */
const MAX_DEPTH = 12

/** The BatchNormalization nearest to an input, if it is near and its statistics are constants. */
export function firstNorm(model: Model): NormLayer | undefined {
  return nearest(model, (node) => {
    const [value, , , mean, variance] = node.inputs
    if (node.opType !== 'BatchNormalization' || !value || !mean?.constant || !variance?.constant) return undefined
    const stored = { mean: mean.constant.numbers(), variance: variance.constant.numbers() }
    return { node, value, channels: mean.constant.size, ...stored }
  })
}

/** The convolution nearest to an input that has constant weights and a bias, as folding a BatchNorm leaves it. */
export function firstBiasedConv(model: Model): FirstLayer | undefined {
  return nearest(model, (node) => {
    const [value] = node.outputs
    const bias = node.inputs[2]?.constant
    if (node.opType !== 'Conv' || !value || !bias || !node.inputs[1]?.constant) return undefined
    return { node, value, channels: bias.size }
  })
}

function nearest<T>(model: Model, find: (node: Node) => T | undefined): T | undefined {
  let front = new Set<Node>(model.graph.inputs.flatMap((value) => (value.constant ? [] : value.consumers())))
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    for (const node of front) {
      const found = node.graph === model.graph ? find(node) : undefined
      if (found) return found
    }
    front = new Set([...front].flatMap((node) => node.outputs.flatMap((value) => value?.consumers() ?? [])))
  }
  return undefined
}
