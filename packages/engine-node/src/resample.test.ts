import { describe, expect, it } from 'vitest'
import { resample } from './resample.ts'

/** 7 rows of 10 grey pixels, without any pattern that a filter could hide behind. */
const grey = {
  data: Uint8Array.from({ length: 70 }, (_, i) => (i * 37) % 256),
  width: 10,
  height: 7,
  channels: 1,
} as const

const bytes = (width: number, height: number, filter: 'box' | 'bilinear'): number[] =>
  Array.from(resample(grey, width, height, filter).data)

describe('resample', () => {
  it('gives the bytes of Pillow for box', () => {
    // Image.fromarray(a).resize(size, Image.BOX), Pillow 13.0.
    expect(bytes(4, 3, 'box')).toEqual([94, 123, 109, 116, 123, 131, 137, 102, 152, 117, 124, 174])
    expect(bytes(1, 1, 'box')).toEqual([124])
    expect(bytes(13, 9, 'box').slice(0, 13)).toEqual([0, 37, 37, 74, 111, 148, 185, 185, 222, 3, 40, 40, 77])
  })

  it('is within one level of OpenCV for bilinear', () => {
    // cv2.resize(a, size, interpolation=cv2.INTER_LINEAR), OpenCV 5.0; it rounds in 11 bits where we round in 22.
    const small = [104, 153, 118, 125, 114, 206, 43, 135, 124, 131, 95, 145]
    const row = [76, 100, 129, 157, 186, 89, 72, 100, 125, 88, 100, 129, 153]
    const far = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((v, i) => Math.abs(v - (b[i] ?? -9))))
    expect(far(bytes(4, 3, 'bilinear'), small)).toBeLessThanOrEqual(1)
    expect(far(bytes(13, 9, 'bilinear').slice(13, 26), row)).toBeLessThanOrEqual(1)
  })

  it('keeps channels apart, and copes with a single pixel', () => {
    const pixel = { data: Uint8Array.of(1, 2, 3), width: 1, height: 1, channels: 3 } as const
    for (const filter of ['box', 'bilinear'] as const) {
      expect(Array.from(resample(pixel, 2, 1, filter).data)).toEqual([1, 2, 3, 1, 2, 3])
    }
  })
})
