import type { Model, Node } from '../ir/index.ts'

/** The first normalization with stored statistics: what the network saw in training. */
export interface NormLayer {
  readonly node: Node
  /** Value that the statistics describe. */
  readonly input: string
  readonly mean: readonly number[]
  readonly variance: readonly number[]
}

/** Operators that data may pass on the way from an input to the first normalization; deeper ones say little about inputs. */
const MAX_DEPTH = 4

/** The BatchNormalization nearest to an input, if it is at most four operators away and its statistics are constants. */
export function firstNorm(model: Model): NormLayer | undefined {
  let front = new Set<Node>(model.graph.inputs.flatMap((value) => (value.constant ? [] : value.consumers())))
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    for (const node of front) {
      const layer = node.opType === 'BatchNormalization' ? normLayer(node) : undefined
      if (layer) return layer
    }
    front = new Set([...front].flatMap((node) => node.outputs.flatMap((value) => value?.consumers() ?? [])))
  }
  return undefined
}

function normLayer(node: Node): NormLayer | undefined {
  const [input, , , mean, variance] = node.inputs
  if (!input || !mean?.constant || !variance?.constant) return undefined
  return { node, input: input.name, mean: mean.constant.integers(), variance: variance.constant.integers() }
}
