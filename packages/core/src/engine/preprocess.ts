import { z } from 'zod'
import { Tensor } from '../ir/index.ts'
import type { DType } from '../util/index.ts'

const size = z.number().int().positive()
const perChannel = z.array(z.number()).min(1)

/**
 * How images are resized. `linear`, `cubic` and `lanczos` are widened when they shrink an image, as Pillow and torchvision do; `box`
 * averages (Pillow); `bilinear` weighs four neighbours and skips what lies between (OpenCV).
 */
export const INTERPOLATIONS = ['linear', 'bilinear', 'box', 'nearest', 'cubic', 'lanczos'] as const

/**
 * From 8-bit pixels to a network input, as JSON: resize, centre crop, then per channel `(pixel · scale − mean) / std`.
 * `mean` and `std` are in the network's channel order and in scaled units; one entry serves all channels.
 */
export const preprocessSchema = z.strictObject({
  resize: z
    .union([z.strictObject({ shortSide: size }), z.strictObject({ height: size, width: size }), z.literal('none')])
    .default('none'),
  crop: z.strictObject({ height: size, width: size }).nullable().default(null),
  scale: z.number().default(1),
  mean: perChannel.default([0]),
  std: z.array(z.number().positive()).min(1).default([1]),
  layout: z.enum(['nchw', 'nhwc']).default('nchw'),
  channelOrder: z.enum(['rgb', 'bgr', 'gray']).default('rgb'),
  interpolation: z.enum(INTERPOLATIONS).default('linear'),
})

export type Preprocess = z.infer<typeof preprocessSchema>

/** Decoded image: rows of `channels` interleaved bytes, 1 for grey or 3 for RGB. */
export interface Pixels {
  readonly data: Uint8Array
  readonly height: number
  readonly width: number
  readonly channels: 1 | 3
}

/** ITU-R BT.601 luma, as JPEG and PIL use it. */
const LUMA = [0.299, 0.587, 0.114] as const

const at = (list: readonly number[], channel: number): number => list[channel] ?? list[0] ?? 0

/**
 * Normalizes pixels that already have the wanted size.
 * @returns `[1, C, H, W]` or `[1, H, W, C]` by `layout`, C being 1 for `gray` and 3 otherwise.
 */
export function normalizePixels(pixels: Pixels, p: Preprocess, dtype: DType = 'float32'): Tensor {
  const channels = channelsOf(p)
  const { height, width } = pixels
  const out = new Float32Array(height * width * channels)
  if (isLuma(pixels, p)) fillLuma(out, pixels, p)
  else fillChannels(out, pixels, p, (c) => pixelTable(p, c))
  const dims = p.layout === 'nchw' ? [1, channels, height, width] : [1, height, width, channels]
  return dtype === 'float32' ? Tensor.float32(dims, out) : Tensor.fromNumbers(dtype, dims, out)
}

/** Channels of the network's input. */
export const channelsOf = ({ channelOrder }: Preprocess): 1 | 3 => (channelOrder === 'gray' ? 1 : 3)

/** Grey made of colours is no pixel of 8 bits any more. */
export const isLuma = ({ channels }: Pixels, p: Preprocess): boolean => channels === 3 && channelsOf(p) === 1

/**
 * Pixels in the network's order of channels and axes: what `normalizePixels` makes of each byte is `pixelTable` of its channel.
 * Not for pixels that become grey (`isLuma`).
 */
export function arrangePixels(pixels: Pixels, p: Preprocess): Uint8Array {
  const out = new Uint8Array(pixels.height * pixels.width * channelsOf(p))
  fillChannels(out, pixels, p, () => IDENTITY)
  return out
}

const IDENTITY = Uint8Array.from({ length: 256 }, (_, v) => v)

function fillChannels<T extends Uint8Array | Float32Array>(
  out: T,
  pixels: Pixels,
  p: Preprocess,
  tableOf: (channel: number) => T,
): void {
  const channels = channelsOf(p)
  const [stride, step] = p.layout === 'nchw' ? [pixels.height * pixels.width, 1] : [1, channels]
  for (let c = 0; c < channels; c++) fillChannel(out, c * stride, step, pixels, sourceChannel(pixels, p, c), tableOf(c))
}

function sourceChannel(pixels: Pixels, p: Preprocess, c: number): number {
  if (pixels.channels === 1) return 0
  return p.channelOrder === 'bgr' ? 2 - c : c
}

/** The 256 numbers that the bytes of a channel become, `c` counting in the network's order. */
export function pixelTable(p: Preprocess, c: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, v) => (v * p.scale - at(p.mean, c)) / at(p.std, c))
}

function fillChannel<T extends Uint8Array | Float32Array>(
  out: T,
  offset: number,
  step: number,
  pixels: Pixels,
  source: number,
  table: T,
): void {
  const { data, channels } = pixels
  for (let i = source, o = offset; i < data.length; i += channels, o += step)
    out[o] = table[data[i] as number] as number
}

function fillLuma(out: Float32Array, { data }: Pixels, p: Preprocess): void {
  for (let i = 0, o = 0; o < out.length; i += 3, o++) {
    const [r, g, b] = [data[i] as number, data[i + 1] as number, data[i + 2] as number]
    const luma = LUMA[0] * r + LUMA[1] * g + LUMA[2] * b
    out[o] = (luma * p.scale - at(p.mean, 0)) / at(p.std, 0)
  }
}
