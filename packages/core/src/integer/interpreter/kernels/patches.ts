import type { CodeArray } from '../codes.ts'
import type { Window2, WindowAxis } from '../window.ts'
import type { Rows } from './kernels.ts'

export interface Patches {
  readonly codes: CodeArray
  /** First element of the channels, and how many there are. */
  readonly offset: number
  readonly channels: number
  readonly window: Window2
  /** Code of what is not there. */
  readonly fill: number
  /** Subtracted from every code, so that it fits 16 bits. */
  readonly shift: number
}

/**
 * What the windows at the positions from `first` on see, a row for each: channels, and in them rows and columns of the window, as weights of
 * a Conv are stored. Rows are overwritten but for their padding.
 */
export function gatherPatches(patches: Patches, first: number, rows: Rows): void {
  if (patches.window.every(isPoint)) pointwise(patches, first, rows)
  else windows(patches, first, rows)
}

/** One element that is always there. */
const isPoint = ({ kernel, begin, positions, stride, size }: WindowAxis): boolean =>
  kernel === 1 && begin === 0 && (positions - 1) * stride < size

function pointwise({ codes, offset, channels, window, shift }: Patches, first: number, rows: Rows): void {
  const [v, h] = window
  const plane = v.size * h.size
  const { data, count, stride } = rows
  for (let c = 0; c < channels; c++) {
    const from = offset + c * plane
    for (let p = 0; p < count; p++) {
      const y = Math.floor((first + p) / h.positions)
      const x = first + p - y * h.positions
      data[p * stride + c] = (codes[from + y * v.stride * h.size + x * h.stride] as number) - shift
    }
  }
}

function windows(patches: Patches, first: number, rows: Rows): void {
  const { codes, offset, channels, window, fill, shift } = patches
  const [v, h] = window
  const plane = v.size * h.size
  const { data, count, stride } = rows
  const padding = fill - shift
  for (let p = 0; p < count; p++) {
    const row = Math.floor((first + p) / h.positions)
    const top = row * v.stride - v.begin
    const left = (first + p - row * h.positions) * h.stride - h.begin
    let to = p * stride
    for (let c = 0; c < channels; c++) {
      const from = offset + c * plane
      for (let i = 0; i < v.kernel; i++) {
        const y = top + i * v.dilation
        const inside = y >= 0 && y < v.size
        const line = from + y * h.size
        for (let j = 0; j < h.kernel; j++) {
          const x = left + j * h.dilation
          data[to++] = inside && x >= 0 && x < h.size ? (codes[line + x] as number) - shift : padding
        }
      }
    }
  }
}
