import type { Kernels, Rows } from '../kernels/kernels.ts'

/** Products of bytes that int32 holds together: 255² · 2^15 < 2^31. */
const TERMS = 1 << 15

interface Part {
  readonly rows: Rows
  /** What one step of it counts. */
  readonly unit: number
}

/**
 * Sums of products that may leave int32, exact below 2^53: x = low + 256 · high is summed byte by byte.
 * @returns out[i · b.count + j] = Σ a_i · b_j
 */
export function wideDots(a: Rows, b: Rows, kernels: Kernels): Float64Array {
  const out = new Float64Array(a.count * b.count)
  for (let from = 0; from < a.stride; from += TERMS) {
    const mark = kernels.mark()
    const [left, right] = [a, b].map((rows) => bytesOf(rows, from, kernels)) as [Part[], Part[]]
    for (const x of left) {
      for (const y of right) {
        const inner = kernels.mark()
        const sums = kernels.dots(x.rows, y.rows)
        for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) + (sums[i] as number) * x.unit * y.unit
        kernels.release(inner)
      }
    }
    kernels.release(mark)
  }
  return out
}

/** Some terms of all rows as bytes: themselves where they are no more, else the lower and the upper ones. */
function bytesOf(rows: Rows, from: number, kernels: Kernels): Part[] {
  const length = Math.min(TERMS, rows.stride - from)
  if (isBytes(rows)) return [{ rows: mapped(rows, { from, length }, kernels, (x) => x), unit: 1 }]
  return [
    { rows: mapped(rows, { from, length }, kernels, (x) => x & 255), unit: 1 },
    { rows: mapped(rows, { from, length }, kernels, (x) => x >> 8), unit: 256 },
  ]
}

const isBytes = ({ data }: Rows): boolean => data.every((x) => x >= -255 && x <= 255)

interface Range {
  readonly from: number
  readonly length: number
}

function mapped(source: Rows, { from, length }: Range, kernels: Kernels, f: (x: number) => number): Rows {
  const rows = kernels.rows(source.count, length)
  // Views are taken behind the last allocation.
  const [data, given] = [rows.data, source.data]
  for (let i = 0; i < rows.count; i++) {
    for (let k = 0; k < length; k++) data[i * rows.stride + k] = f(given[i * source.stride + from + k] as number)
  }
  return rows
}
