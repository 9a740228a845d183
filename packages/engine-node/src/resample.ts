import type { Pixels } from '@fewbit/core/engine'

/** Ways to resize that the image library has no kernel for. */
export type OwnFilter = 'box' | 'bilinear'

/** The source pixels that one target pixel is made of: `weights.length` of them from `first` on. */
interface Taps {
  readonly first: number
  readonly weights: readonly number[]
}

/** Pillow's fixed-point weights for 8-bit images: sums of 255 · 2^22 still fit 31 bits. */
const PRECISION = 22

/**
 * Resizes along both axes, columns first, with 8 bits between the two. `box` averages the source pixels whose centres lie under a target
 * pixel and gives the bytes of Pillow's `Image.BOX`. `bilinear` weighs the nearest two source pixels for each axis without any filter
 * before it, as OpenCV's `INTER_LINEAR` does, and may differ from its bytes by one.
 */
export function resample(pixels: Pixels, width: number, height: number, filter: OwnFilter): Pixels {
  const taps = filter === 'box' ? boxTaps : bilinearTaps
  const { channels } = pixels
  const narrow = alongRows(pixels, taps(pixels.width, width))
  const turned = {
    data: transpose(narrow, width, pixels.height, channels),
    width: pixels.height,
    height: width,
    channels,
  }
  const small = alongRows(turned, taps(pixels.height, height))
  return { data: transpose(small, height, width, channels), width, height, channels }
}

function boxTaps(from: number, to: number): Taps[] {
  const scale = from / to
  const support = 0.5 * Math.max(1, scale)
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale
    const first = Math.max(0, Math.trunc(centre - support + 0.5))
    const end = Math.min(from, Math.trunc(centre + support + 0.5))
    const inside = Array.from({ length: end - first }, (_, k) => isUnderBox((first + k + 0.5 - centre) / (2 * support)))
    const count = inside.filter(Boolean).length
    return { first, weights: inside.map((is) => (is ? 1 / count : 0)) }
  })
}

/** Closed on one side only, so that a pixel on the border counts once. */
const isUnderBox = (x: number): boolean => x > -0.5 && x <= 0.5

function bilinearTaps(from: number, to: number): Taps[] {
  const scale = from / to
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(from - 1, Math.max(0, (i + 0.5) * scale - 0.5))
    const first = Math.min(Math.floor(at), Math.max(0, from - 2))
    return from === 1 ? { first: 0, weights: [1] } : { first, weights: [1 - (at - first), at - first] }
  })
}

/** Every row becomes `taps.length` pixels wide. */
function alongRows({ data, width, height, channels }: Pixels, taps: readonly Taps[]): Uint8Array {
  const fixed = taps.map(({ first, weights }) => ({
    first,
    weights: weights.map((w) => Math.floor(w * 2 ** PRECISION + 0.5)),
  }))
  const out = new Uint8Array(taps.length * height * channels)
  let o = 0
  for (let y = 0; y < height; y++) {
    for (const { first, weights } of fixed) {
      for (let c = 0; c < channels; c++) {
        let sum = 2 ** (PRECISION - 1)
        let at = (y * width + first) * channels + c
        for (const weight of weights) {
          sum += weight * (data[at] as number)
          at += channels
        }
        out[o++] = Math.min(255, sum >> PRECISION)
      }
    }
  }
  return out
}

/** Rows become columns, channels stay together. */
function transpose(data: Uint8Array, width: number, height: number, channels: number): Uint8Array {
  const out = new Uint8Array(data.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++)
        out[(x * height + y) * channels + c] = data[(y * width + x) * channels + c] as number
    }
  }
  return out
}
