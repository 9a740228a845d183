import { type Kernels, paddedLength, type Rows } from './kernels.ts'

/** Plain loops: what runs where WebAssembly does not, and what it is compared with. */
export const plainKernels: Kernels = {
  name: 'plain',
  rows(count, length) {
    const stride = paddedLength(length)
    return { data: new Int16Array(count * stride), count, stride }
  },
  dots(a, b) {
    const out = new Int32Array(a.count * b.count)
    for (let i = 0; i < a.count; i++) {
      for (let j = 0; j < b.count; j++) out[i * b.count + j] = dot(a, i, b, j)
    }
    return out
  },
  mark: () => 0,
  release() {},
}

function dot(a: Rows, i: number, b: Rows, j: number): number {
  const { data: x, stride } = a
  const y = b.data
  const [from, to] = [i * stride, j * stride]
  let sum = 0
  // A product of two 16-bit numbers is exact; the sum wraps, as registers do.
  for (let k = 0; k < stride; k++) sum = (sum + (x[from + k] as number) * (y[to + k] as number)) | 0
  return sum
}
