import type { Sample } from '@fewbit/core/engine'
import { Digest } from '@fewbit/core/util'
import { describe, expect, it } from 'vitest'
import { INPUT, pictureData, pictureTensor } from './picture-data.ts'
import { drawPicture, SIDE, SPLITS } from './pictures.ts'
import { CLASSES, coverage, type Placed, type ShapeName } from './shapes.ts'

const digestOf = (seed: number, count: number): string => {
  const sum = new Digest()
  for (let i = 0; i < count; i++) sum.update(Uint8Array.from(drawPicture(seed, i).pixels))
  return sum.hex()
}

describe('drawPicture', () => {
  it('draws the pictures that the network was trained on', () => {
    // A changed digest means that the asset no longer fits: run `npm run make:demo` and state the new figures in docs/demo.md.
    expect(digestOf(SPLITS.test, 64)).toBe('e546de85f3595fb0e4506642783cc12009f599fcb8610d8b1865fc6964f9802c')
  })

  it('does not depend on what was drawn before', () => {
    const alone = drawPicture(SPLITS.test, 5)
    drawPicture(SPLITS.train, 9)
    expect(drawPicture(SPLITS.test, 5)).toEqual(alone)
  })

  it('repeats no picture within or between splits', () => {
    const seen = new Set<string>()
    for (const seed of Object.values(SPLITS)) {
      for (let i = 0; i < 200; i++) seen.add(drawPicture(seed, i).pixels.join())
    }
    expect(seen.size).toBe(600)
  })

  it('gives every class its turn', () => {
    const labels = Array.from({ length: 80 }, (_, i) => drawPicture(SPLITS.test, i).label)
    const counts = CLASSES.map((_, c) => labels.filter((label) => label === c).length)
    expect(counts).toEqual(CLASSES.map(() => 10))
  })

  it('uses most of the range of bytes, and clips few of them', () => {
    const pixels = Array.from({ length: 40 }, (_, i) => [...drawPicture(SPLITS.test, i).pixels]).flat()
    const mean = pixels.reduce((a, b) => a + b, 0) / pixels.length
    expect(mean).toBeGreaterThan(60)
    expect(mean).toBeLessThan(180)
    const clipped = pixels.filter((p) => p === 0 || p === 255).length / pixels.length
    expect(clipped).toBeLessThan(0.15)
  })
})

describe('coverage', () => {
  const area = (shape: ShapeName, angle: number): number => {
    const placed: Placed = { shape, x: 50, y: 50, radius: 30, cos: Math.cos(angle), sin: Math.sin(angle) }
    let sum = 0
    for (let y = 0; y < 100; y++) for (let x = 0; x < 100; x++) sum += coverage(placed, x, y)
    return sum / 30 ** 2
  }

  // Areas by school geometry, in units of radius²; a pixel's coverage is approximate at corners.
  it.each([
    ['disc', Math.PI * 0.85 ** 2],
    ['ring', Math.PI * (0.9 ** 2 - 0.5 ** 2)],
    ['square', 1.5 ** 2],
    ['triangle', (3 * Math.sqrt(3)) / 4],
    ['star', Math.sqrt(3)],
    ['cross', 2 * (1.9 * 0.56) - 0.56 ** 2],
    ['bars', 2 * 0.48 * 1.6],
  ] as const)('covers the area of a %s, however it is turned', (shape, expected) => {
    expect(area(shape, 0) / expected).toBeCloseTo(1, 1)
    expect(area(shape, 0.5) / expected).toBeCloseTo(1, 1)
  })
})

describe('pictureData', () => {
  it('holds the labelled pictures of a split as planes of 0 to 1', async () => {
    const samples: Sample[] = []
    for await (const sample of pictureData('test', 9).samples()) samples.push(sample)
    expect(samples.map((s) => s.label)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0])
    const { pixels } = drawPicture(SPLITS.test, 3)
    const values = samples[3]?.feeds[INPUT]?.numbers() as Float32Array
    const [x, y] = [7, 20]
    for (const c of [0, 1, 2]) {
      expect(values[c * SIDE * SIDE + y * SIDE + x]).toBe(Math.fround((pixels[3 * (y * SIDE + x) + c] as number) / 255))
    }
    expect(pictureTensor(drawPicture(SPLITS.test, 3)).dims).toEqual([1, 3, SIDE, SIDE])
  })
})
