import type { CodeTensor } from '../codes.ts'
import type { Kernels, Rows } from '../kernels/kernels.ts'
import type { Prepared } from './weights.ts'

/** Some of the rows of the weights, where the kernels want them. */
export function weightRows({ weights, stride }: Prepared, first: number, count: number, kernels: Kernels): Rows {
  const rows = kernels.rows(count, stride)
  rows.data.set(weights.subarray(first * stride, (first + count) * stride))
  return rows
}

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
