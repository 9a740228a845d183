import type { Histogram } from '../calibration/index.ts'

/** Bars of equal width: bar i counts the elements in [edges[i], edges[i + 1]). */
export interface Bars {
  readonly edges: number[]
  readonly counts: number[]
}

/** What people can look at, and documents can hold. */
const MAX_BARS = 128

/** A histogram in at most 128 bars, from the first that is not empty to the last: neighbours are added, so that counts stay exact. */
export function barsOf({ width, first, counts }: Histogram): Bars {
  const isFull = (n: number): boolean => n > 0
  const begin = counts.findIndex(isFull)
  if (begin < 0) return { edges: [0], counts: [] }
  const end = counts.findLastIndex(isFull)
  let size = 1
  const barAt = (i: number): number => Math.floor((first + i) / size)
  while (barAt(end) - barAt(begin) + 1 > MAX_BARS) size *= 2
  const start = barAt(begin)
  const bars = new Array<number>(barAt(end) - start + 1).fill(0)
  for (let i = begin; i <= end; i++) bars[barAt(i) - start] = (bars[barAt(i) - start] as number) + (counts[i] as number)
  return { edges: Array.from({ length: bars.length + 1 }, (_, i) => (start + i) * size * width), counts: bars }
}

/** Share of the elements in [lo, hi]; those of a bin are taken to lie evenly in it. */
export function shareWithin({ width, first, counts }: Histogram, lo: number, hi: number): number {
  let inside = 0
  let all = 0
  counts.forEach((n, i) => {
    const left = (first + i) * width
    const overlap = Math.min(left + width, hi) - Math.max(left, lo)
    inside += n * Math.min(1, Math.max(0, overlap / width))
    all += n
  })
  return all > 0 ? inside / all : 0
}
