import { describe, expect, it } from 'vitest'
import type { FewbitError } from '../util/index.ts'
import { normalizePixels, type Pixels, preprocessSchema } from './preprocess.ts'
import { normalizedRange, type PreprocessOptions, resolvePreprocess } from './presets.ts'

const input = (shape: (number | string | null)[]) => ({ name: 'x', dtype: 'float32' as const, shape })

/** Two pixels of distinct colours: (10, 20, 30) and (40, 50, 60). */
const PIXELS: Pixels = { data: Uint8Array.of(10, 20, 30, 40, 50, 60), height: 1, width: 2, channels: 3 }

function normalize(options: PreprocessOptions, shape: (number | string | null)[], pixels = PIXELS): number[] {
  return Array.from(normalizePixels(pixels, resolvePreprocess(options, input(shape))).numbers())
}

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as FewbitError).code
  }
  return 'nothing thrown'
}

describe('normalizePixels', () => {
  it('separates planes for NCHW and keeps pixels together for NHWC', () => {
    expect(normalize({}, ['N', 3, 1, 2])).toEqual([10, 40, 20, 50, 30, 60])
    expect(normalize({ layout: 'nhwc' }, ['N', 1, 2, 3])).toEqual([10, 20, 30, 40, 50, 60])
  })

  it('subtracts the Caffe mean in BGR order', () => {
    expect(normalize({ preset: 'imagenet-caffe' }, ['N', 3, 1, 2])).toEqual([-74, -44, -97, -67, -113, -83])
  })

  it('follows (x/255 − mean)/std for imagenet', () => {
    const expected = [10 / 255, 40 / 255].map((v) => (v - 0.485) / 0.229)
    const red = normalize({ preset: 'imagenet' }, ['N', 3, 1, 2]).slice(0, 2)
    for (const [i, v] of red.entries()) expect(v).toBeCloseTo(expected[i] as number, 6)
  })

  it('turns colour into luma for one-channel inputs and repeats grey for three', () => {
    expect(normalize({}, [1, 1, 1, 2])[0]).toBeCloseTo(0.299 * 10 + 0.587 * 20 + 0.114 * 30, 5)
    const grey: Pixels = { data: Uint8Array.of(7, 9), height: 1, width: 2, channels: 1 }
    expect(normalize({}, ['N', 3, 1, 2], grey)).toEqual([7, 9, 7, 9, 7, 9])
    expect(normalize({}, ['N', 1, 1, 2], grey)).toEqual([7, 9])
  })
})

describe('resolvePreprocess', () => {
  it('keeps the ratio 256 : 224 for other input sizes', () => {
    expect(resolvePreprocess({ preset: 'imagenet' }, input([1, 3, 224, 224])).resize).toEqual({ shortSide: 256 })
    const p = resolvePreprocess({ preset: 'imagenet' }, input([1, 3, 448, 448]))
    expect(p).toMatchObject({ resize: { shortSide: 512 }, crop: { height: 448, width: 448 } })
  })

  it('resizes to the input where there is no crop, and not at all where its size is open', () => {
    expect(resolvePreprocess({ preset: 'unit' }, input(['N', 96, 80, 3]))).toMatchObject({
      layout: 'nhwc',
      resize: { height: 96, width: 80 },
    })
    expect(resolvePreprocess({}, input(['N', 3, 'H', 'W'])).resize).toBe('none')
  })

  it('lets explicit options win and survives JSON', () => {
    const p = resolvePreprocess({ preset: 'unit', channelOrder: 'bgr', mean: [0.5] }, input([1, 3, 8, 8]))
    expect(p).toMatchObject({ channelOrder: 'bgr', mean: [0.5], scale: 1 / 255 })
    expect(preprocessSchema.parse(JSON.parse(JSON.stringify(p)))).toEqual(p)
  })

  it('refuses what it does not know', () => {
    expect(codeOf(() => resolvePreprocess({ preset: 'imagnet' as 'imagenet' }, input([1, 3, 8, 8])))).toBe(
      'DATA_PRESET',
    )
    expect(codeOf(() => resolvePreprocess({ std: [0] }, input([1, 3, 8, 8])))).toBe('DATA_OPTION')
    expect(codeOf(() => resolvePreprocess({ sharpen: 1 } as PreprocessOptions, input([1, 3, 8, 8])))).toBe(
      'DATA_OPTION',
    )
    expect(codeOf(() => resolvePreprocess({}, input([1, 40])))).toBe('DATA_LAYOUT')
    expect(codeOf(() => resolvePreprocess({}, input([1, 64, 8, 8])))).toBe('DATA_LAYOUT')
  })
})

describe('the range of normalized pictures', () => {
  it('is that of 0 and 255 in the channel that goes farthest', () => {
    const [lo = 0, hi = 0] = normalizedRange({ preset: 'imagenet' }) ?? []
    // torchvision: (0 − 0.485) / 0.229 and (1 − 0.406) / 0.225.
    expect(lo).toBeCloseTo(-2.1179, 3)
    expect(hi).toBeCloseTo(2.64, 3)
    expect(normalizedRange({ preset: 'imagenet-caffe' })).toEqual([-123, 151])
    expect(normalizedRange({ mean: [127.5], std: [127.5] })).toEqual([-1, 1])
    expect(normalizedRange({ layout: 'nhwc' })).toBeUndefined()
  })
})
