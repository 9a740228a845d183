import type { Kernels, PairOrder, Rows } from './kernels.ts'
import { plainKernels } from './plain.ts'

/**
 * Sums as x86 processors without VNNI compute them: unsigned codes and signed weights are multiplied, and two neighbouring products are added
 * in 16 bits that saturate (`vpmaddubsw`), before they go to int32.
 */
export const saturatingKernels: Kernels = {
  ...plainKernels,
  name: 'saturating pairs',
  dots(a, b, order) {
    if (!order) return plainKernels.dots(a, b)
    const out = new Int32Array(a.count * b.count)
    for (let i = 0; i < a.count; i++) {
      for (let j = 0; j < b.count; j++) out[i * b.count + j] = pairwise(a, i * a.stride, b, j * b.stride, order)
    }
    return out
  },
}

function pairwise({ data: x }: Rows, from: number, { data: y }: Rows, to: number, order: PairOrder): number {
  const { length } = order
  let sum = 0
  for (let k = 0; k < length; k += 2) {
    const [p, q] = [order[k] as number, order[k + 1]]
    const first = (x[from + p] as number) * (y[to + p] as number)
    const second = q === undefined ? 0 : (x[from + q] as number) * (y[to + q] as number)
    sum = (sum + Math.max(-32768, Math.min(32767, first + second))) | 0
  }
  return sum
}

/** Layers that these kernels do not run at once run in plain loops. */
export function saturating(kernels: Kernels): Kernels {
  const { sums, greatest } = kernels
  if (!sums || !greatest) return saturatingKernels
  return {
    ...saturatingKernels,
    sums: (job) => sums.call(kernels, job),
    greatest: (job) => greatest.call(kernels, job),
  }
}

/** Terms of a sum in the order in which x86 kernels take them: rows and columns of the window, and in them the channels. */
export function channelsLast(terms: number, area: number): PairOrder {
  const channels = terms / area
  return Int32Array.from({ length: terms }, (_, k) => (k % channels) * area + Math.floor(k / channels))
}

/** Share of the pairs of a layer's weights that some unsigned codes of 8 bits take beyond 16 bits. */
export function saturableShare(weights: ArrayLike<number>, channels: number, stride: number, order: PairOrder): number {
  let [pairs, saturable] = [0, 0]
  for (let c = 0; c < channels; c++) {
    for (let k = 0; k + 1 < order.length; k += 2) {
      const [v, w] = [k, k + 1].map((i) => weights[c * stride + (order[i] as number)] as number) as [number, number]
      const [high, low] = [Math.max(v, 0) + Math.max(w, 0), Math.min(v, 0) + Math.min(w, 0)]
      pairs++
      if (255 * high > 32767 || 255 * low < -32768) saturable++
    }
  }
  return saturable / Math.max(1, pairs)
}
