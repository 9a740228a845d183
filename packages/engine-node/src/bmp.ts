import type { Pixels } from '@fewbit/core/engine'
import { problem } from '@fewbit/core/util'
import { decode } from 'fast-bmp'

export const isBmp = (bytes: Uint8Array): boolean => bytes[0] === 0x42 && bytes[1] === 0x4d

/** File header (14 bytes), then the information header, whose first field is its own size. */
const FILE_HEADER = 14

/** Uncompressed BMP of 8 bits with a palette, 24 or 32 bits; libvips reads none. */
export function decodeBmp(bytes: Uint8Array): Pixels {
  const { width, height, channels, bitsPerPixel, data } = decode(bytes)
  if (bitsPerPixel === 1) {
    throw problem('DATA_IMAGE', 'one-bit BMP files are not read', { fix: 'convert the image to PNG' })
  }
  const source = data as Uint8Array
  const rgb = bitsPerPixel === 8 ? applyPalette(source, bytes) : dropAlpha(source, channels)
  return { data: rgb, width, height, channels: 3 }
}

/** Palette entries are blue, green, red, unused. */
function applyPalette(indices: Uint8Array, file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const palette = FILE_HEADER + view.getUint32(FILE_HEADER, true)
  const out = new Uint8Array(indices.length * 3)
  indices.forEach((index, i) => {
    for (let c = 0; c < 3; c++) out[i * 3 + c] = file[palette + index * 4 + 2 - c] ?? 0
  })
  return out
}

function dropAlpha(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return pixels
  return pixels.filter((_, i) => i % channels < 3)
}
