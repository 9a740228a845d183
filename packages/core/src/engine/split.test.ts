import { describe, expect, it } from 'vitest'
import { Tensor } from '../ir/index.ts'
import type { DataSource, Dataset, Sample } from './dataset.ts'
import { splitDataset, splitSource } from './split.ts'

const numbered = (count: number, known = true): Dataset => ({
  name: 'numbers',
  ...(known && { length: count }),
  async *samples() {
    for (let i = 0; i < count; i++) yield { id: `${i}`, feeds: { x: Tensor.float32([1, 1], [i]) } }
  },
  toJSON: () => ({ kind: 'numbers', samples: count }),
})

async function idsOf(data: Dataset): Promise<number[]> {
  const found: Sample[] = []
  for await (const sample of data.samples()) found.push(sample)
  return found.map(({ id }) => Number(id))
}

describe('splitting data', () => {
  it.each([
    [true, 'known'],
    [false, 'unknown'],
  ])('gives two parts that are all samples together, whether their number is known (%s)', async (known) => {
    const { held, rest } = splitDataset(numbered(23, known), 5)
    expect(await idsOf(held)).toEqual([0, 5, 10, 15, 20])
    expect([...(await idsOf(held)), ...(await idsOf(rest))].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 23 }, (_, i) => i),
    )
    expect([held.length, rest.length]).toEqual(known ? [5, 18] : [undefined, undefined])
  })

  it('spreads a limit over the part, and says what it is in recipes', async () => {
    const source: DataSource = { name: 'numbers', open: async () => numbered(100) }
    const { held, rest } = splitSource(source, 10)
    const some = await rest.open([], 9)
    const ids = await idsOf(some)
    expect(ids).toHaveLength(9)
    expect(ids.every((id) => id % 10 > 0)).toBe(true)
    // One from each tenth.
    expect(ids.map((id) => Math.floor(id / 10)).every((tenth, i) => Math.abs(tenth - i) <= 1)).toBe(true)
    expect(some.length).toBe(9)
    expect(some.toJSON()).toEqual({ kind: 'numbers', samples: 9, part: 'all but one of 10' })
    const limited = splitDataset(numbered(100), 10, { rest: 9, held: 3 })
    expect(await idsOf(limited.rest)).toEqual(ids)
    expect((await idsOf(limited.held)).map((id) => id % 10)).toEqual([0, 0, 0])
    expect((await held.open([], 1000)).toJSON()).toEqual({ kind: 'numbers', samples: 10, part: 'one of 10' })
  })
})
