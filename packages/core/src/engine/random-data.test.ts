import { expect, it } from 'vitest'
import type { FewbitError } from '../util/index.ts'
import type { ModelInput } from './inputs.ts'
import { type RandomDataOptions, randomData } from './random-data.ts'

const image: ModelInput = { name: 'x', dtype: 'float32', shape: ['N', 3, 16, 16] }

async function draw(inputs: ModelInput[], options: RandomDataOptions) {
  const data = await randomData(options).open(inputs)
  const all = []
  for await (const sample of data.samples()) all.push(sample)
  return { data, all }
}

it('repeats itself for a seed, differs for another, and says that it is synthetic', async () => {
  const { data, all } = await draw([image], { samples: 2, seed: 3 })
  const again = (await draw([image], { samples: 2, seed: 3 })).all
  const other = (await draw([image], { samples: 2, seed: 4 })).all
  const values = (samples: typeof all) => samples.map((s) => Array.from(s.feeds.x?.numbers() ?? []))
  expect(values(again)).toEqual(values(all))
  expect(values(other)).not.toEqual(values(all))
  expect(values(all)[0]).not.toEqual(values(all)[1])
  expect(data).toMatchObject({ synthetic: true, length: 2 })
})

it('draws from the distribution that was asked for', async () => {
  const { all } = await draw([image], { samples: 20 })
  const values = all.flatMap((s) => Array.from(s.feeds.x?.numbers() ?? []))
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length
  // 15,360 draws: the standard errors are 0.008 and 0.011; five of them are allowed.
  expect(Math.abs(mean)).toBeLessThan(0.04)
  expect(Math.abs(variance - 1)).toBeLessThan(0.06)
  const uniform = (await draw([image], { samples: 1, distribution: 'uniform' })).all[0]?.feeds.x?.numbers() ?? []
  expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...uniform)).toBeLessThan(1)
})

it('asks for open dimensions other than the batch', async () => {
  const tokens: ModelInput = { name: 'ids', dtype: 'int64', shape: ['N', 'T'] }
  await expect(draw([tokens], {})).rejects.toMatchObject({ code: 'DATA_DIMS' } satisfies Partial<FewbitError>)
  const { all } = await draw([tokens], { samples: 1, dims: { T: 50 } })
  expect(all[0]?.feeds.ids?.dims).toEqual([1, 50])
  expect(new Set(all[0]?.feeds.ids?.integers())).toEqual(new Set([0, 1]))
})
