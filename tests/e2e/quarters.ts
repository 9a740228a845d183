import { labels, npz } from './numpy.ts'

/** Pictures of so many pixels a side whose class is their darkest quarter, among noise: a .npz of uint8 `x` [count, side, side, 3] and `y`. */
export function quarters(side: number, count: number, seed: number): Uint8Array {
  const row = 3 * side
  const data = Uint8Array.from({ length: count * side * row }, (_, i) => {
    const [n, y, x] = [Math.floor(i / (side * row)), Math.floor((i % (side * row)) / row), Math.floor((i % row) / 3)]
    const quarter = 2 * Math.floor((2 * y) / side) + Math.floor((2 * x) / side)
    return ((i * 7919 + seed * 104729 + (i % 13) * (i % 17) * 31) % 156) + (quarter === n % 4 ? 0 : 100)
  })
  const y = labels(Array.from({ length: count }, (_, n) => n % 4))
  return npz({ x: { dtype: 'uint8', shape: [count, side, side, 3], data }, y })
}
