import { asTensor, attribute, type Value } from '../../ir/index.ts'
import type { GradBuilder } from '../../ops/index.ts'
import { must, problem } from '../../util/index.ts'

/** Scores of classes along axis 1. Trailing axes of size 1, as pooling leaves them, are dropped. */
export interface ClassScores {
  readonly scores: Value
  readonly classes: number
  readonly rank: number
}

/** @throws FewbitError TRAIN_LOSS where the number of classes is not known. */
export function classScores(g: GradBuilder, logits: readonly Value[], loss: string): ClassScores {
  const value = must(logits[0], 'output')
  const shape = asTensor(value.type)?.shape
  const classes = shape?.[1]
  if (!shape || typeof classes !== 'number') {
    throw problem(
      'TRAIN_LOSS',
      `${loss} needs class scores along axis 1, but "${value.name}" has none of known number`,
      {
        at: { value: value.name },
        fix: 'choose another loss, or give the sizes of all inputs',
      },
    )
  }
  const pooled = shape.length > 2 && shape.slice(2).every((d) => d === 1)
  return { scores: pooled ? g.reshape(value, [0, classes]) : value, classes, rank: pooled ? 2 : shape.length }
}

/** 1 at the label's class and 0 elsewhere, in the scores' shape. */
export function oneHot(g: GradBuilder, labels: Value, { classes, rank }: ClassScores): Value {
  const numbers = Array.from({ length: classes }, (_, i) => i)
  const along = g.reshape(g.ints(numbers), [classes, ...Array<number>(rank - 2).fill(1)])
  return g.cast(g.op('Equal', [g.op('Unsqueeze', [labels, g.ints([1])]), along]), g.dtype)
}

/** How many labels have the highest score. */
export function countHits(g: GradBuilder, labels: Value, { scores }: ClassScores): Value {
  const chosen = g.op('ArgMax', [scores], { axis: attribute.int(1), keepdims: attribute.int(0) })
  return g.total(g.cast(g.op('Equal', [chosen, labels]), 'float32'))
}
