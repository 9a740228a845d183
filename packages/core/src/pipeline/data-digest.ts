import type { Dataset, Sample } from '../engine/index.ts'
import { Digest } from '../util/index.ts'

/** Data that remember what was read of them. */
export interface DigestedData extends Dataset {
  /** SHA-256 of the tensors of the latest pass: names, types, shapes and bytes of each sample in turn. */
  digest(): string
}

/** Takes the digest of data on their way to the engine. Of passes that stop early, what was read by then counts. */
export function digested(data: Dataset): DigestedData {
  let hash = new Digest()
  let known: string | undefined
  const { name, length, synthetic } = data
  return {
    name,
    ...(length === undefined ? {} : { length }),
    ...(synthetic === undefined ? {} : { synthetic }),
    async *samples() {
      hash = new Digest()
      known = undefined
      for await (const sample of data.samples()) {
        update(hash, sample)
        yield sample
      }
    },
    toJSON: () => data.toJSON(),
    digest() {
      known ??= hash.hex()
      return known
    },
  }
}

function update(hash: Digest, { feeds }: Sample): void {
  for (const [name, tensor] of Object.entries(feeds).sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([name, tensor.dtype, tensor.dims]))
    if (tensor.dtype === 'string') for (const part of tensor.stringBytes()) hash.update(part)
    else hash.update(tensor.bytes())
  }
}
