import { invariant } from '../../util/index.ts'
import { perTensor, type QuantParams } from '../spec.ts'
import { lloyd, optimalLevels, type Points } from './kmeans.ts'

/** Above this many distinct values, neighbours are merged before the exact search, whose result is then refined on all of them. */
const EXACT = 4096
const REFINEMENTS = 20

/**
 * The `count` levels with the least squared distance to the values: one-dimensional k-means, exact up to 4096 distinct values by dynamic
 * programming over sorted runs (Wang and Song, "Ckmeans.1d.dp", R Journal 3/2, 2011), so that no seed is involved. With more, sorted
 * neighbours are merged to 4096 means first, and the levels are refined on all values by Lloyd's iteration.
 * Codebooks for weights: Han, Mao and Dally, "Deep Compression", arXiv:1510.00149.
 * @returns ascending; fewer than `count` where there are fewer distinct values.
 */
export function kmeansLevels(values: ArrayLike<number>, count: number): number[] {
  invariant(count >= 1 && values.length > 0, () => `${count} levels for ${values.length} values`)
  const all = distinct(Float64Array.from(values).sort())
  if (all.at.length <= count) return Array.from(all.at)
  if (all.at.length <= EXACT) return optimalLevels(all, count)
  let levels = optimalLevels(merged(all, EXACT), count)
  for (let i = 0; i < REFINEMENTS; i++) levels = lloyd(all, levels)
  return levels
}

/** Parameters of one learned codebook of 2^bits levels for a tensor: the levels with their largest magnitude as the scale. */
export function codebookParams(values: ArrayLike<number>, bits: number): QuantParams {
  const found = kmeansLevels(values, 2 ** bits)
  const scale = Math.fround(Math.max(...found.map(Math.abs))) || 1
  // A table needs two levels, and a constant tensor has one.
  const ends = found.length > 1 ? found : [0, found[0] || 1].sort((a, b) => a - b)
  const levels = [...new Set(ends.map((c) => Math.fround(c / scale)))]
  const format = { kind: 'levels', levels } as const
  const [quantMin, quantMax] = [levels[0] as number, levels.at(-1) as number]
  const spec = { bits, signed: quantMin < 0, symmetric: true, quantMin, quantMax, granularity: perTensor(), format }
  return { spec, scale: [scale], zeroPoint: [0] }
}

function distinct(sorted: Float64Array): Points {
  const at: number[] = []
  const count: number[] = []
  for (const x of sorted) {
    if (x === at.at(-1)) count[count.length - 1] = (count.at(-1) as number) + 1
    else {
      at.push(x)
      count.push(1)
    }
  }
  return { at: Float64Array.from(at), count: Float64Array.from(count) }
}

/** About equally many values in each point. */
function merged({ at, count }: Points, points: number): Points {
  const total = count.reduce((a, b) => a + b, 0)
  const sums = new Float64Array(points)
  const counts = new Float64Array(points)
  let seen = 0
  at.forEach((x, i) => {
    const p = Math.floor((seen * points) / total)
    sums[p] = (sums[p] as number) + x * (count[i] as number)
    counts[p] = (counts[p] as number) + (count[i] as number)
    seen += count[i] as number
  })
  const used = Array.from(counts.keys()).filter((p) => (counts[p] as number) > 0)
  return {
    at: Float64Array.from(used, (p) => (sums[p] as number) / (counts[p] as number)),
    count: Float64Array.from(used, (p) => counts[p] as number),
  }
}
