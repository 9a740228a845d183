import { Tensor } from '../ir/index.ts'
import { type DType, isFloat, problem, type Rng, rng } from '../util/index.ts'
import type { DataSource, Dataset, Sample } from './dataset.ts'
import { formatType, type ModelInput } from './inputs.ts'

export interface RandomDataOptions {
  /** Default 32. */
  readonly samples?: number
  readonly seed?: number
  /** `normal` is standard normal, `uniform` is [0, 1). */
  readonly distribution?: 'normal' | 'uniform'
  /** Sizes of open dimensions, by symbol or as `input:axis`. */
  readonly dims?: Readonly<Record<string, number>>
}

/** Integers below this serve as token numbers, indices and lengths of every network that is worth trying. */
const SAFE_INT = 2

/**
 * Generated inputs: they run a network, and prove nothing about its accuracy.
 * `open` throws FewbitError DATA_DIMS while an open dimension other than the batch has no size.
 */
export function randomData(options: RandomDataOptions = {}): DataSource {
  return {
    name: 'random',
    open: async (inputs, samples = options.samples) =>
      openRandom(inputs, samples === undefined ? options : { ...options, samples }),
  }
}

function openRandom(inputs: readonly ModelInput[], options: RandomDataOptions): Dataset {
  const { samples = 32, seed = 0, distribution = 'normal', dims = {} } = options
  const shaped = inputs.map((input) => ({ input, shape: concreteShape(input, dims) }))
  return {
    name: 'random',
    length: samples,
    synthetic: true,
    async *samples(): AsyncGenerator<Sample> {
      const random = rng(seed)
      for (let i = 0; i < samples; i++) {
        const feeds = shaped.map(({ input, shape }) => [input.name, generate(input.dtype, shape, random, distribution)])
        yield { id: `random ${i}`, feeds: Object.fromEntries(feeds) }
      }
    },
    toJSON: () => ({ kind: 'random', samples, seed, distribution, dims }),
  }
}

/** The sizes that data of an input have; the batch is 1 where it is open. @throws FewbitError DATA_DIMS while a size is open. */
export function concreteShape(input: ModelInput, dims: Readonly<Record<string, number>>): number[] {
  if (!input.shape) throw openDims(input, 'its rank is not known')
  return input.shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim
    const size = (dim === null ? undefined : dims[dim]) ?? dims[`${input.name}:${axis}`] ?? (axis === 0 ? 1 : undefined)
    if (size === undefined) throw openDims(input, `axis ${axis} (${dim ?? 'unnamed'}) is open`)
    return size
  })
}

function openDims(input: ModelInput, why: string): Error {
  return problem('DATA_DIMS', `no random data for "${input.name}" ${formatType(input.dtype, input.shape)}: ${why}`, {
    at: { value: input.name, option: 'dims' },
    fix: 'give the size of each open dimension, by its symbol or as "input:axis"',
  })
}

function generate(dtype: DType, dims: readonly number[], random: Rng, distribution: 'normal' | 'uniform'): Tensor {
  const count = dims.reduce((n, d) => n * d, 1)
  const draw = isFloat(dtype) ? (distribution === 'normal' ? random.normal : random.next) : () => random.int(SAFE_INT)
  const values = Float32Array.from({ length: count }, draw)
  return dtype === 'float32' ? Tensor.float32(dims, values) : Tensor.fromNumbers(dtype, dims, values)
}
