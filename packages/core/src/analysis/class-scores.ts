import { asTensor, type Model } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { ClassScores } from './pair-reducer.ts'

/**
 * How an output of the network says classes: `[N, C]`, also with spatial axes of one; or `[N, T, C]`, a score for each position, where
 * it comes out of a softmax or the network reads integers, which are tokens. Undefined for pictures, boxes and single numbers.
 */
export function classScores(model: Model, output: number, ops: OpRegistry): ClassScores | undefined {
  const value = model.graph.outputs[output]
  const shape = asTensor(value?.type)?.shape
  if (!value || !shape) return undefined
  const traits = value.producer ? (ops.of(value.producer)?.quant.traits ?? []) : []
  const isNormalized = traits.includes('normalizing')
  const readsTokens = model.graph.inputs.some((input) => asTensor(input.type)?.dtype.startsWith('int'))
  const axis = shape.length === 3 && (isNormalized || readsTokens) ? 2 : 1
  const others = shape.slice(2).filter((_, i) => i + 2 !== axis)
  const classes = shape[axis]
  const isOne = axis === 2 || others.every((size) => size === 1)
  if (shape.length < 2 || !isOne || typeof classes !== 'number' || classes < 2) return undefined
  return { axis, areShares: isNormalized && traits.includes('non-negative') }
}
