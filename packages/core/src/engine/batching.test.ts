import { describe, expect, it } from 'vitest'
import { Tensor } from '../ir/index.ts'
import type { FewbitError } from '../util/index.ts'
import { type Batch, type BatchOptions, batches, dropPadding, outputsOf } from './batching.ts'
import type { Dataset } from './dataset.ts'
import type { ModelInput } from './inputs.ts'

/** Samples `[i]` of the given widths. */
function dataset(widths: number[], name = 'x'): Dataset {
  return {
    name: 'test',
    async *samples() {
      for (const [i, w] of widths.entries()) {
        yield { id: `s${i}`, feeds: { [name]: Tensor.float32([1, w], new Float32Array(w).fill(i)) }, label: i }
      }
    },
    toJSON: () => ({}),
  }
}

const input = (shape: ModelInput['shape']): ModelInput[] => [{ name: 'x', dtype: 'float32', shape }]

async function collect(data: Dataset, inputs: ModelInput[], options?: BatchOptions): Promise<Batch[]> {
  const all: Batch[] = []
  for await (const batch of batches(data, inputs, options)) all.push(batch)
  return all
}

const dims = (all: Batch[]) => all.map((batch) => batch.feeds.x?.dims)
const failure = (data: Dataset, inputs: ModelInput[]) => collect(data, inputs).catch((e: FewbitError) => e.code)

describe('batches', () => {
  it('fills an open batch axis and keeps order', async () => {
    const all = await collect(dataset([2, 2, 2, 2, 2]), input(['N', 2]), { batchSize: 2 })
    expect(dims(all)).toEqual([
      [2, 2],
      [2, 2],
      [1, 2],
    ])
    expect(Array.from(all[1]?.feeds.x?.numbers() ?? [])).toEqual([2, 2, 3, 3])
    expect(all.flatMap((b) => b.samples.map((s) => s.label))).toEqual([0, 1, 2, 3, 4])
  })

  it('runs one at a time where the model has batch 1', async () => {
    expect(dims(await collect(dataset([2, 2]), input([1, 2]), { batchSize: 8 }))).toEqual([
      [1, 2],
      [1, 2],
    ])
  })

  it('starts a new run where shapes change', async () => {
    const all = await collect(dataset([2, 2, 3, 2]), input(['N', 'W']), { batchSize: 4 })
    expect(dims(all)).toEqual([
      [2, 2],
      [1, 3],
      [1, 2],
    ])
  })

  it('fills a fixed batch by repeating the last sample, and drops those rows again', async () => {
    const [first, last] = await collect(dataset([1, 1, 1, 1, 1]), input([3, 1]))
    expect(Array.from(last?.feeds.x?.numbers() ?? [])).toEqual([3, 4, 4])
    expect(last?.rows).toBe(3)
    const outputs = { y: Tensor.float32([3, 2], [0, 1, 2, 3, 4, 5]), loss: Tensor.float32([], [9]) }
    const kept = dropPadding(outputs, last as Batch)
    expect(kept.y?.dims).toEqual([2, 2])
    expect(kept.loss?.dims).toEqual([])
    expect(dropPadding(outputs, first as Batch)).toBe(outputs)
    expect(Array.from(outputsOf(outputs, first as Batch, 1).y?.numbers() ?? [])).toEqual([2, 3])
  })

  it('does not mistake a state of size 2 for a batch', async () => {
    const state: Dataset = {
      ...dataset([]),
      async *samples() {
        yield { id: 'a', feeds: { x: Tensor.float32([2, 1], [1, 2]) } }
      },
    }
    expect(dims(await collect(state, input([2, 1])))).toEqual([[2, 1]])
  })

  it('stops at the limit without reading further', async () => {
    let read = 0
    const base = dataset([1, 1, 1, 1])
    const counted: Dataset = {
      ...base,
      async *samples() {
        for await (const sample of base.samples()) {
          read++
          yield sample
        }
      },
    }
    expect((await collect(counted, input(['N', 1]), { limit: 2, batchSize: 8 }))[0]?.rows).toBe(2)
    expect(read).toBe(2)
  })

  it('obeys the signal', async () => {
    await expect(
      collect(dataset([1]), input([1, 1]), { signal: AbortSignal.abort(new Error('stop')) }),
    ).rejects.toThrow('stop')
  })

  it('explains data that does not fit', async () => {
    expect(await failure(dataset([]), input(['N', 1]))).toBe('DATA_EMPTY')
    expect(await failure(dataset([3]), input(['N', 2]))).toBe('DATA_SHAPE')
    expect(await failure(dataset([2], 'other'), input(['N', 2]))).toBe('DATA_INPUT')
    expect(await failure(dataset([2]), [{ name: 'x', dtype: 'int64', shape: ['N', 2] }])).toBe('DATA_DTYPE')
  })
})
