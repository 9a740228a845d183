import { describe, expect, it } from 'vitest'
import {
  collate,
  type Dataset,
  type ModelInput,
  type Picture,
  type PreprocessOptions,
  pictureSamples,
  resolvePreprocess,
  type Sample,
} from '../engine/index.ts'
import { Tensor } from '../ir/index.ts'
import { type FewbitError, rng } from '../util/index.ts'
import { parseAugmentations } from './augment.ts'
import { loadTrainingData, type TrainingDataOptions } from './load.ts'
import { epochOrder } from './order.ts'

const nchw = (c = 3, h = 4, w = 5): ModelInput => ({ name: 'x', dtype: 'float32', shape: ['N', c, h, w] })
const nhwc = (c = 3, h = 4, w = 5): ModelInput => ({ name: 'x', dtype: 'float32', shape: ['N', h, w, c] })

/** Pictures of random bytes with labels 0, 1, 2, 0, … */
function pictureData(count: number, input: ModelInput, channels: 1 | 3 = 3, options: PreprocessOptions = {}): Dataset {
  const preprocess = resolvePreprocess({ preset: 'cifar10', ...options }, input)
  const random = rng(3)
  const [height, width] = [4, 5]
  const all = Array.from({ length: count }, (_, i): Picture => {
    const data = Uint8Array.from({ length: height * width * channels }, () => random.int(256))
    return { id: `p${i}`, label: i % 3, pixels: { data, height, width, channels } }
  })
  const pictures = {
    input,
    preprocess,
    async *read() {
      yield* all
    },
  }
  return { name: 'p', length: count, pictures, samples: () => pictureSamples(pictures), toJSON: () => ({ kind: 'p' }) }
}

function sampleData(samples: readonly Omit<Sample, 'id'>[]): Dataset {
  return {
    name: 's',
    async *samples() {
      for (const [i, sample] of samples.entries()) yield { id: `s${i}`, ...sample }
    },
    toJSON: () => ({ kind: 's' }),
  }
}

async function feedsOf(data: Dataset): Promise<Sample['feeds'][]> {
  const all: Sample['feeds'][] = []
  for await (const sample of data.samples()) all.push(sample.feeds)
  return all
}

const load = (data: Dataset, input: ModelInput, options: TrainingDataOptions & { how?: string } = {}) =>
  loadTrainingData(data, [input], { ...options, ...(options.how && { augment: parseAugmentations(options.how) }) })

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (e: FewbitError) => e.code,
  )

describe('samples in memory', () => {
  it.each([
    ['NCHW', nchw(), 3, {}],
    ['NHWC', nhwc(), 3, {}],
    ['BGR', nchw(), 3, { channelOrder: 'bgr' }],
    ['colour for a grey network', nchw(1), 3, {}],
    ['grey for a grey network', nhwc(1), 1, {}],
    ['grey for a colour network', nchw(3), 1, {}],
  ] as const)('gives the numbers that evaluation reads: %s', async (_, input, channels, options) => {
    const data = pictureData(7, input, channels, options)
    const samples = await feedsOf(data)
    const batch = (await load(data, input)).batch(Uint32Array.of(5, 0, 5))
    const expected = collate([samples[5]!, samples[0]!, samples[5]!])
    expect(batch.feeds.x?.dims).toEqual(expected.x?.dims)
    expect(batch.feeds.x?.numbers()).toEqual(expected.x?.numbers())
    expect([...(batch.labels ?? [])]).toEqual([2, 0, 2])
  })

  it('gives the samples back, one by one', async () => {
    const data = pictureData(3, nchw())
    const again = (await load(data, nchw(), { how: 'crop' })).asDataset()
    const facts = async (from: Dataset) => {
      const all: unknown[] = []
      for await (const { label, feeds } of from.samples()) all.push([label, feeds.x?.dims, feeds.x?.numbers()])
      return all
    }
    expect(await facts(again)).toEqual(await facts(data))
    const six = (await load(pictureData(6, nchw()), nchw())).asDataset(2)
    expect([six.length, await facts(six)]).toEqual([2, [0, 3].map((i) => [i % 3, [1, 3, 4, 5], expect.anything()])])
  })

  it('keeps pictures as bytes, and other arrays in their own type', async () => {
    expect((await load(pictureData(7, nchw()), nchw())).byteLength).toBe(7 * (4 * 5 * 3) + 7 * 4)
    const tokens = [1, 2, 3].map((n) => ({
      feeds: { x: Tensor.int64([1, 2], [n, n + 1]) },
      target: Tensor.int64([1, 2], [n, 0]),
    }))
    const data = await load(sampleData(tokens), { name: 'x', dtype: 'int64', shape: [null, 2] })
    const { feeds, target, labels } = data.batch(Uint32Array.of(2, 0))
    expect([feeds.x?.dtype, feeds.x?.dims, feeds.x?.integers()]).toEqual(['int64', [2, 2], [3, 4, 1, 2]])
    expect(target?.integers()).toEqual([3, 0, 1, 0])
    expect([labels, data.classes, data.hasTarget]).toEqual([undefined, undefined, true])
  })

  it('has labels only where every sample has one', async () => {
    const x = Tensor.float32([1, 1], [0])
    const input: ModelInput = { name: 'x', dtype: 'float32', shape: [null, 1] }
    const part = await load(sampleData([{ feeds: { x }, label: 4 }, { feeds: { x } }]), input)
    expect([part.classes, part.batch(Uint32Array.of(0)).labels]).toEqual([undefined, undefined])
    expect((await load(sampleData([{ feeds: { x }, label: 4 }]), input)).classes).toBe(5)
  })

  it('refuses samples of different sizes, none, and more than fits', async () => {
    const open: ModelInput = { name: 'x', dtype: 'float32', shape: [null, null] }
    const sizes = [1, 2].map((n) => ({ feeds: { x: Tensor.float32([1, n], Array(n).fill(0)) } }))
    expect(await codeOf(load(sampleData(sizes), open))).toBe('DATA_SHAPE')
    expect(await codeOf(load(sampleData([]), open))).toBe('DATA_EMPTY')
    expect(await codeOf(load(pictureData(7, nchw()), nchw(), { maxBytes: 7 * 60 - 1 }))).toBe('DATA_SIZE')
    expect(await codeOf(load(pictureData(7, nchw()), nchw(), { maxBytes: 7 * 60 }))).toBe('no error')
    expect(await codeOf(load(sampleData(sizes.slice(0, 1)), open, { how: 'flip' }))).toBe('AUGMENTATION_DATA')
  })
})

describe('epochs', () => {
  it('shuffles anew each time, and uses no sample twice', async () => {
    const data = await load(pictureData(50, nchw()), nchw(), { seed: 9 })
    const epochs = [0, 1].map((epoch) => [...data.batches({ batchSize: 8, epoch })])
    for (const batches of epochs) {
      expect(batches.map((batch) => batch.feeds.x?.dims[0])).toEqual(Array(6).fill(8))
      expect(new Set(batches.flatMap((batch) => [...batch.indices])).size).toBe(48)
    }
    expect(epochs[0]![0]!.indices).not.toEqual(epochs[1]![0]!.indices)
    expect(epochOrder(50, 9, 0)).not.toEqual(epochOrder(50, 10, 0))
    // What one epoch leaves out, others use.
    const used = new Set(Array.from({ length: 20 }, (_, e) => [...epochOrder(50, 9, e).subarray(0, 48)]).flat())
    expect(used.size).toBe(50)
  })

  it('goes on anywhere with the same bytes, and moves a sample alike in batches of any size', async () => {
    const data = await load(pictureData(20, nchw()), nchw(), { how: 'crop:pad=2,flip' })
    const again = await load(pictureData(20, nchw()), nchw(), { how: 'crop:pad=2,flip' })
    const all = [...data.batches({ batchSize: 4, epoch: 3 })]
    const rest = [...again.batches({ batchSize: 4, epoch: 3, from: 2 })]
    expect(rest.map((b) => b.feeds.x?.numbers())).toEqual(all.slice(2).map((b) => b.feeds.x?.numbers()))
    const joined = [...again.batches({ batchSize: 8, epoch: 3 })][0]
    expect(joined?.feeds.x?.numbers()).toEqual(collate([all[0]!.feeds, all[1]!.feeds]).x?.numbers())
  })

  it('makes one batch of data that are fewer than a batch', async () => {
    const data = await load(pictureData(5, nchw()), nchw())
    expect([...data.batches({ batchSize: 64, epoch: 0 })].map((batch) => batch.indices.length)).toEqual([5])
  })

  it('has one digest for the same samples, and another for others', async () => {
    const [a, b, c] = await Promise.all([5, 5, 6].map((n) => load(pictureData(n, nchw()), nchw())))
    expect(a!.digest()).toBe(b!.digest())
    expect(a!.digest()).not.toBe(c!.digest())
  })
})

/** Rows of digits, the numbers of a one-channel picture. */
const rowsOf = (numbers: ArrayLike<number>, width: number): string =>
  Array.from(numbers)
    .map((n, i) => `${n}${i % width === width - 1 ? ' ' : ''}`)
    .join('')
    .trim()

describe('augmentation', () => {
  const grey = nchw(1, 2, 3)
  const picture = [1, 2, 3, 4, 5, 6]
  async function variants(how: string, input = grey, dims = [1, 1, 2, 3]): Promise<Set<string>> {
    const data = await load(sampleData([{ feeds: { x: Tensor.float32(dims, picture) } }]), input, { how })
    const drawn = Array.from({ length: 300 }, (_, epoch) => data.batch(Uint32Array.of(0), epoch).feeds.x!.numbers())
    return new Set(drawn.map((numbers) => rowsOf(numbers, 3)))
  }

  it('crops every window of the padded picture', async () => {
    // By hand: 000000 / 01230 / 04560 / 00000, windows of 2×3.
    const padded = ['00000', '01230', '04560', '00000']
    const windows = [0, 1, 2].flatMap((y) =>
      [0, 1, 2].map((x) => [y, y + 1].map((row) => padded[row]!.slice(x, x + 3)).join(' ')),
    )
    expect(await variants('crop:pad=1')).toEqual(new Set(windows))
    expect(await variants('crop:pad=1', nhwc(1, 2, 3), [1, 2, 3, 1])).toEqual(new Set(windows))
  })

  it('mirrors at the border without repeating it', async () => {
    const padded = ['54565', '21232', '54565', '21232']
    const windows = [0, 1, 2].flatMap((y) =>
      [0, 1, 2].map((x) => [y, y + 1].map((row) => padded[row]!.slice(x, x + 3)).join(' ')),
    )
    expect(await variants('crop:pad=1,fill=reflect')).toEqual(new Set(windows))
  })

  it('flips half of the pictures, or as many as asked for', async () => {
    expect(await variants('flip')).toEqual(new Set(['123 456', '321 654']))
    expect(await variants('flip:probability=1')).toEqual(new Set(['321 654']))
    const data = await load(pictureData(1000, nchw()), nchw(), { how: 'flip' })
    const still = await load(pictureData(1000, nchw()), nchw())
    const all = Uint32Array.from({ length: 1000 }, (_, i) => i)
    const [moved, same] = [data.batch(all, 0).feeds.x!.numbers(), still.batch(all, 0).feeds.x!.numbers()]
    const flipped = Array.from(all).filter((i) => moved[i * 60] !== same[i * 60]).length
    // Binomial(1000, 1/2), five standard deviations; a corner may also be equal by chance.
    expect(Math.abs(flipped - 500)).toBeLessThan(80)
  })

  it('fills with black pixels: what a byte of 0 becomes', async () => {
    const data = await load(pictureData(1, nchw()), nchw(), { how: 'crop:pad=100' })
    const values = data.batch(Uint32Array.of(0), 0).feeds.x!.numbers()
    const black = [0.4914 / 0.2023, 0.4822 / 0.1994, 0.4465 / 0.201].flatMap((v) => Array<number>(20).fill(-v))
    expect(values).toEqual(Float32Array.from(black))
  })

  it('reads what users write', async () => {
    expect(await codeOf(load(pictureData(1, nchw()), nchw(), { how: 'flip:probability=2' }))).toBe(
      'AUGMENTATION_OPTION',
    )
    expect(parseAugmentations('crop:pad=4,fill=reflect,flip')).toEqual([
      { name: 'crop', options: { pad: 4, fill: 'reflect' } },
      { name: 'flip' },
    ])
    expect(parseAugmentations('flip, crop')).toEqual([{ name: 'flip' }, { name: 'crop' }])
    expect(() => parseAugmentations('spin')).toThrow(/AUGMENTATION_UNKNOWN.*[\s\S]*crop, flip/)
  })
})
