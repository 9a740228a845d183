import type { TensorReport } from '../../../analysis/index.ts'

/** Largest range of a channel over that of the middle one; 1 where channels were not told apart. Dead channels do not count. */
export function unevenness({ channels }: TensorReport): number {
  if (!channels) return 1
  const { min, max } = channels
  const reach = min.map((lo, i) => Math.max(Math.abs(lo), Math.abs(max[i] as number)))
  const alive = reach.filter((r) => r > 0).sort((a, b) => a - b)
  const middle = alive[Math.floor(alive.length / 2)]
  return middle === undefined ? 1 : (alive.at(-1) as number) / middle
}
