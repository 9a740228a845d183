import type { SoftmaxRow, SoftmaxSite } from '../scheme.ts'
import { clamp } from './real-values.ts'

const f = Math.fround

/**
 * Softmax by its definition, in float64, from a table of exponentials of differences to the greatest code.
 * @param code of a probability in float32; it may leave the range.
 */
export function exactSoftmax({ input, output }: SoftmaxSite, code: (probability: number) => number): SoftmaxRow {
  const table = Float64Array.from({ length: input.max - input.min + 1 }, (_, i) => Math.exp(-input.scale * i))
  return (codes, out) => {
    const top = codes.reduce((most, x) => Math.max(most, x), input.min)
    const sum = codes.reduce((total, x) => total + (table[top - x] as number), 0)
    for (const [i, x] of codes.entries()) out[i] = clamp(code(f((table[top - x] as number) / sum)), output)
  }
}
