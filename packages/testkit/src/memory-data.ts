import type { Dataset, Feeds } from '@fewbit/core/engine'
import { Tensor } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'

/** Samples that are held in memory. Labels, where given, go with the samples in order. */
export function memoryData(feeds: readonly Feeds[], labels: readonly number[] = [], name = 'memory'): Dataset {
  return {
    name,
    length: feeds.length,
    async *samples() {
      for (const [i, sample] of feeds.entries()) {
        const label = labels[i]
        yield { id: `sample ${i}`, feeds: sample, ...(label === undefined ? {} : { label }) }
      }
    },
    toJSON: () => ({ kind: name, samples: feeds.length }),
  }
}

/** Normal values for float inputs of the given shapes, one sample after the other from one seed. */
export function normalData(shapes: Readonly<Record<string, readonly number[]>>, count: number, seed = 5): Feeds[] {
  const random = rng(seed)
  return Array.from({ length: count }, () =>
    Object.fromEntries(
      Object.entries(shapes).map(([name, dims]) => {
        const size = dims.reduce((n, d) => n * d, 1)
        const values = Float32Array.from({ length: size }, () => random.normal())
        return [name, Tensor.float32(dims, values)]
      }),
    ),
  )
}
