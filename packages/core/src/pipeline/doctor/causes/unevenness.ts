import type { TensorReport } from '../../../analysis/index.ts'

/** Channels with less than this share of the largest are dead: training has driven their weights to nothing. */
const ALIVE = 1e-6

/** Largest range of a channel over that of the middle one; 1 where channels were not told apart. Dead channels do not count. */
export function unevenness({ channels }: TensorReport): number {
  if (!channels) return 1
  const { min, max } = channels
  const reach = min.map((lo, i) => Math.max(Math.abs(lo), Math.abs(max[i] as number)))
  const largest = reach.reduce((a, b) => Math.max(a, b), 0)
  const alive = reach.filter((r) => r > ALIVE * largest).sort((a, b) => a - b)
  const middle = alive[Math.floor(alive.length / 2)]
  return middle === undefined ? 1 : largest / middle
}
