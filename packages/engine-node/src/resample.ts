import type { Pixels } from '@fewbit/core/engine'

/** Ways to resize that the image library has no kernel for. */
export type OwnFilter = 'box' | 'bilinear'

/** The source pixels that one target pixel is made of: `weights.length` of them from `first` on, in units of 2^-22. */
interface Taps {
  readonly first: number
  readonly weights: Int32Array
}

/** Pillow's fixed point for 8-bit images: sums of 255 · 2^22 still fit 31 bits. */
const ONE = 2 ** 22
const HALF = ONE / 2

/**
 * Resizes along both axes, rows first, with 8 bits between the two. `box` averages the source pixels whose centres lie under a target
 * pixel and gives the bytes of Pillow's `Image.BOX`. `bilinear` weighs the nearest two source pixels for each axis without any filter
 * before it, as OpenCV's `INTER_LINEAR` does, and may differ from its bytes by one.
 */
export function resample(pixels: Pixels, width: number, height: number, filter: OwnFilter): Pixels {
  const taps = filter === 'box' ? boxTaps : bilinearTaps
  const down = taps(pixels.height, height)
  const narrow = alongRows(pixels, taps(pixels.width, width), down)
  return { data: alongColumns(narrow, width * pixels.channels, down), width, height, channels: pixels.channels }
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
    return { first, weights: fixed(inside.map((is) => (is ? 1 / count : 0))) }
  })
}

/** Closed on one side only, so that a pixel on the border counts once. */
const isUnderBox = (x: number): boolean => x > -0.5 && x <= 0.5

function bilinearTaps(from: number, to: number): Taps[] {
  const scale = from / to
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(from - 1, Math.max(0, (i + 0.5) * scale - 0.5))
    const first = Math.min(Math.floor(at), Math.max(0, from - 2))
    return { first, weights: fixed(from === 1 ? [1] : [1 - (at - first), at - first]) }
  })
}

const fixed = (weights: readonly number[]): Int32Array => Int32Array.from(weights, (w) => Math.floor(w * ONE + 0.5))

/** Every row that `down` will read becomes `taps.length` pixels wide. */
function alongRows(
  { data, width, height, channels }: Pixels,
  taps: readonly Taps[],
  down: readonly Taps[],
): Uint8Array {
  const stride = taps.length * channels
  const out = new Uint8Array(height * stride)
  const read = new Set(down.flatMap(({ first, weights }) => Array.from(weights, (_, k) => first + k)))
  for (const y of read) {
    let o = y * stride
    for (const { first, weights } of taps) {
      const start = (y * width + first) * channels
      for (let c = 0; c < channels; c++) out[o++] = weighted(data, start + c, channels, weights)
    }
  }
  return out
}

function weighted(data: Uint8Array, start: number, step: number, weights: Int32Array): number {
  let sum = HALF
  let at = start
  for (let k = 0; k < weights.length; k++, at += step) sum += (weights[k] as number) * (data[at] as number)
  return sum >> 22
}

/** Sums of whole rows, which lie in memory one after the other. */
function alongColumns(data: Uint8Array, stride: number, taps: readonly Taps[]): Uint8Array {
  const out = new Uint8Array(taps.length * stride)
  const sums = new Int32Array(stride)
  for (const [y, { first, weights }] of taps.entries()) {
    sums.fill(HALF)
    for (let k = 0; k < weights.length; k++) addRow(sums, data, (first + k) * stride, weights[k] as number)
    for (let i = 0; i < stride; i++) out[y * stride + i] = (sums[i] as number) >> 22
  }
  return out
}

function addRow(sums: Int32Array, data: Uint8Array, start: number, weight: number): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + weight * (data[start + i] as number)
}
