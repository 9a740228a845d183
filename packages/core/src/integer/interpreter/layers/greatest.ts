import { type CodeArray, type CodeTensor, newCodes } from '../codes.ts'
import type { GreatestJob, Kernels } from '../kernels/kernels.ts'
import type { Window2, WindowAxis } from '../window.ts'

/** The greatest code under each window: down columns first, whose results stand side by side, then along rows. */
export function greatestUnder({ dims, codes, dtype }: CodeTensor, window: Window2, kernels: Kernels): CodeTensor {
  const [v, h] = window
  const [batch = 1, channels = 1, ...spatial] = dims
  const planes = batch * channels
  const out = newCodes(dtype, planes * v.positions * h.positions)
  if (!kernels.greatest?.({ codes, planes, window, out })) plainly({ codes, planes, window, out })
  const positions = [v.positions, h.positions].slice(-spatial.length)
  return { dims: [batch, channels, ...positions], codes: out, dtype }
}

function plainly({ codes, planes, window: [v, h], out }: GreatestJob): void {
  const columns = new Int32Array(planes * v.positions * h.size)
  for (let plane = 0; plane < planes; plane++) {
    down({ codes, base: plane * v.size * h.size, width: h.size }, v, columns, plane * v.positions * h.size)
  }
  along(columns, h, out)
}

interface Plane {
  readonly codes: CodeArray
  readonly base: number
  readonly width: number
}

/** One plane's rows under a window of its columns. */
function down({ codes, base, width }: Plane, axis: WindowAxis, out: CodeArray, to: number): void {
  for (let p = 0; p < axis.positions; p++) {
    const [first, end] = inside(axis, p)
    const [from, last, step] = [base + first * width, base + end * width, axis.dilation * width]
    for (let x = 0; x < width; x++) {
      let most = codes[from + x] as number
      for (let at = from + x + step; at < last; at += step) {
        const code = codes[at] as number
        if (code > most) most = code
      }
      out[to + p * width + x] = most
    }
  }
}

function along(codes: CodeArray, axis: WindowAxis, out: CodeArray): void {
  const { size, positions, dilation } = axis
  for (let p = 0; p < positions; p++) {
    const [first, end] = inside(axis, p)
    for (let to = p, row = 0; to < out.length; to += positions, row += size) {
      let most = codes[row + first] as number
      for (let at = first + dilation; at < end; at += dilation) {
        const code = codes[row + at] as number
        if (code > most) most = code
      }
      out[to] = most
    }
  }
}

/** The first element that a window sees, and the end of those that it sees. */
function inside({ size, kernel, stride, dilation, begin }: WindowAxis, position: number): [number, number] {
  const from = position * stride - begin
  const missing = Math.max(0, Math.ceil(-from / dilation))
  return [from + missing * dilation, Math.min(size, from + (kernel - 1) * dilation + 1)]
}
