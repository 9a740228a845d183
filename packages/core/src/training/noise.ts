import { asTensor, type Model, Tensor } from '../ir/index.ts'
import { mixSeed, problem, rng } from '../util/index.ts'
import type { RandomInput } from './trainable.ts'

/**
 * Content of a noise input. It depends on nothing but seed, position and input, so that a run that goes on after a stop draws what it would
 * have drawn.
 * @param position of the batch in the run, from 0.
 */
export function noise(
  input: RandomInput,
  dims: readonly number[],
  seed: number,
  position: number,
  index: number,
): Tensor {
  const random = rng(mixSeed(seed, position, index))
  const values = new Float32Array(dims.reduce((n, d) => n * d, 1))
  const { fill } = input
  if (fill.kind === 'mask') {
    const kept = 1 / fill.keep
    for (let i = 0; i < values.length; i++) values[i] = random.next() < fill.keep ? kept : 0
  } else {
    const draw = fill.kind === 'normal' ? random.normal : random.next
    for (let i = 0; i < values.length; i++) values[i] = draw()
  }
  return Tensor.float32(dims, values)
}

/** Sizes of a noise input; undefined stands for the batch. @throws FewbitError TRAIN_SHAPE */
export function noiseDims(model: Model, name: string): (number | undefined)[] {
  const shape = asTensor(model.graph.inputs.find((value) => value.name === name)?.type)?.shape
  return (shape ?? [null, null]).map((dim, axis) => {
    if (typeof dim === 'number') return dim
    if (axis === 0) return undefined
    throw problem('TRAIN_SHAPE', `the noise "${name}" has an open axis ${axis}`, {
      at: { value: name },
      fix: 'give the sizes of all inputs (`shapes`)',
    })
  })
}
