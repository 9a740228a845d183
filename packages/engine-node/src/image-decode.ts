import type { Pixels, Preprocess } from '@fewbit/core/engine'
import { problem } from '@fewbit/core/util'
import type { Sharp } from 'sharp'
import { decodeBmp, isBmp } from './bmp.ts'
import { resample } from './resample.ts'

const KERNELS = { nearest: 'nearest', linear: 'linear', cubic: 'cubic', lanczos: 'lanczos3' } as const

type Geometry = Pick<Preprocess, 'resize' | 'crop' | 'interpolation'>

/**
 * Decodes JPEG, PNG, WebP, BMP and what else libvips reads, then resizes and crops. As training code does, colour profiles
 * and orientation tags are ignored and alpha is dropped.
 */
export async function decodeImage(bytes: Uint8Array, geometry: Geometry): Promise<Pixels> {
  if (isBmp(bytes)) return fitPixels(decodeBmp(bytes), geometry)
  const sharp = await loadSharp()
  const image = sharp(bytes, { failOn: 'error', ignoreIcc: true })
  const { width, height } = await image.metadata()
  return transform(image.toColourspace('srgb').removeAlpha(), width, height, geometry)
}

/** Resizes and crops decoded pixels; returns them as they are when nothing is to be done. */
export async function fitPixels(pixels: Pixels, geometry: Geometry): Promise<Pixels> {
  const { width, height } = pixels
  const size = targetSize(width, height, geometry)
  const crop = geometry.crop ?? size
  if (size.width === width && size.height === height && crop.width === width && crop.height === height) return pixels
  return transform(await fromPixels(pixels), width, height, geometry)
}

async function transform(image: Sharp, width: number, height: number, geometry: Geometry): Promise<Pixels> {
  const size = targetSize(width, height, geometry)
  const { interpolation, crop } = geometry
  const isOther = size.width !== width || size.height !== height
  if (interpolation !== 'box' && interpolation !== 'bilinear') {
    const resized = isOther ? image.resize(size.width, size.height, resizing(interpolation)) : image
    return cropped(resized, size, crop)
  }
  const pixels = await rawPixels(image)
  const resized = isOther ? resample(pixels, size.width, size.height, interpolation) : pixels
  return crop ? cropped(await fromPixels(resized), size, crop) : resized
}

const cropped = (image: Sharp, size: Size, crop: Geometry['crop']): Promise<Pixels> =>
  rawPixels(crop ? image.extract(centre(size, crop)) : image)

const resizing = (interpolation: keyof typeof KERNELS) =>
  ({ fit: 'fill', kernel: KERNELS[interpolation], fastShrinkOnLoad: false }) as const

async function fromPixels({ data, width, height, channels }: Pixels): Promise<Sharp> {
  const sharp = await loadSharp()
  return sharp(data, { raw: { width, height, channels } })
}

/** With the first image: libvips takes a tenth of a second to load, and most commands read no images. */
const loadSharp = async () => (await import('sharp')).default

async function rawPixels(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height, channels: info.channels === 1 ? 1 : 3 }
}

interface Size {
  readonly width: number
  readonly height: number
}

/** torchvision's rule: the short side becomes the size, the long side is truncated. */
function targetSize(width: number, height: number, { resize }: Geometry): Size {
  if (resize === 'none') return { width, height }
  if ('width' in resize) return resize
  const side = resize.shortSide
  const long = Math.trunc((side * Math.max(width, height)) / Math.min(width, height))
  return width <= height ? { width: side, height: long } : { width: long, height: side }
}

function centre(size: Size, crop: Size): { left: number; top: number; width: number; height: number } {
  if (crop.width > size.width || crop.height > size.height) {
    throw problem(
      'DATA_SHAPE',
      `an image of ${size.width}×${size.height} cannot be cropped to ${crop.width}×${crop.height}`,
      {
        fix: 'resize before the crop, or use larger images',
      },
    )
  }
  const left = Math.floor((size.width - crop.width) / 2)
  const top = Math.floor((size.height - crop.height) / 2)
  return { left, top, width: crop.width, height: crop.height }
}
