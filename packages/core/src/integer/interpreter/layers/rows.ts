import type { CodeTensor } from '../codes.ts'
import type { Kernels, Rows } from '../kernels/kernels.ts'
import type { Prepared } from './weights.ts'
import { wideDots } from './wide-sums.ts'

/** Some of the rows of the weights, where the kernels want them. */
export function weightRows({ weights, stride }: Prepared, first: number, count: number, kernels: Kernels): Rows {
  const rows = kernels.rows(count, stride)
  rows.data.set(weights.subarray(first * stride, (first + count) * stride))
  return rows
}

/** Sums of products of rows, of which some are those of the weights: in int32, or wider where they may leave it. */
export const dotsOf = (facts: Prepared, a: Rows, b: Rows, kernels: Kernels): Int32Array | Float64Array =>
  facts.wideBias ? wideDots(a, b, kernels) : kernels.dots(a, b, facts.order)

/** Rows of codes less `shift`, in 16 bits. */
export function copyRows(
  { codes }: CodeTensor,
  from: number,
  length: number,
  shift: number,
  { data, count, stride }: Rows,
): void {
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < length; k++) data[i * stride + k] = (codes[from + i * length + k] as number) - shift
  }
}
