/** Distinct points of a line in ascending order, and how often each occurs. */
export interface Points {
  readonly at: Float64Array
  readonly count: Float64Array
}

/** Of points [from, to): their mean, and the sum of squared distances to it. */
interface Runs {
  readonly size: number
  mean(from: number, to: number): number
  error(from: number, to: number): number
}

/**
 * The means of the `count` runs of neighbours with the least squared error. Dynamic programming: best(k, j) = min over i of
 * best(k − 1, i) + error(i, j), where the best i never falls as j grows, so that a layer takes n·log n steps.
 */
export function optimalLevels(points: Points, count: number): number[] {
  const runs = runsOf(points)
  let best: Float64Array = Float64Array.from({ length: runs.size + 1 }, (_, j) => runs.error(0, j))
  const starts: Int32Array[] = []
  for (let k = 2; k <= count; k++) {
    const layer = withOneMore(best, runs)
    best = layer.best
    starts.push(layer.start)
  }
  const levels: number[] = []
  let end = runs.size
  for (let k = starts.length; k >= 0; k--) {
    const begin = k === 0 ? 0 : (starts[k - 1]?.[end] as number)
    if (begin < end) levels.unshift(runs.mean(begin, end))
    end = begin
  }
  return levels
}

function withOneMore(previous: Float64Array, runs: Runs): { best: Float64Array; start: Int32Array } {
  const best = new Float64Array(previous.length)
  const start = new Int32Array(previous.length)
  const fill = (from: number, to: number, least: number, most: number): void => {
    if (from > to) return
    const j = (from + to) >> 1
    best[j] = Infinity
    for (let i = least; i <= Math.min(j, most); i++) {
      const error = (previous[i] as number) + runs.error(i, j)
      if (error < (best[j] as number)) {
        best[j] = error
        start[j] = i
      }
    }
    fill(from, j - 1, least, start[j] as number)
    fill(j + 1, to, start[j] as number, most)
  }
  fill(0, runs.size, 0, runs.size)
  return { best, start }
}

/** Sums up to each point give every run's mean and error; taken about the mean, so that large offsets cancel nothing. */
function runsOf({ at, count }: Points): Runs {
  const size = at.length
  const [n, sum, square] = [0, 1, 2].map(() => new Float64Array(size + 1)) as [Float64Array, Float64Array, Float64Array]
  const centre = at.reduce((total, x, i) => total + x * (count[i] as number), 0) / count.reduce((a, b) => a + b, 0)
  for (let i = 0; i < size; i++) {
    const [x, w] = [(at[i] as number) - centre, count[i] as number]
    n[i + 1] = (n[i] as number) + w
    sum[i + 1] = (sum[i] as number) + w * x
    square[i + 1] = (square[i] as number) + w * x * x
  }
  const of = (sums: Float64Array, from: number, to: number) => (sums[to] as number) - (sums[from] as number)
  return {
    size,
    mean: (from, to) => centre + of(sum, from, to) / of(n, from, to),
    error: (from, to) =>
      from === to ? 0 : Math.max(of(square, from, to) - of(sum, from, to) ** 2 / of(n, from, to), 0),
  }
}

/** One iteration of k-means: every level moves to the mean of the points nearest to it. */
export function lloyd({ at, count }: Points, levels: readonly number[]): number[] {
  const sums = levels.map(() => 0)
  const counts = levels.map(() => 0)
  let nearest = 0
  at.forEach((x, i) => {
    while (nearest + 1 < levels.length && x * 2 >= (levels[nearest] as number) + (levels[nearest + 1] as number))
      nearest++
    sums[nearest] = (sums[nearest] as number) + x * (count[i] as number)
    counts[nearest] = (counts[nearest] as number) + (count[i] as number)
  })
  return levels.map((level, l) => ((counts[l] as number) > 0 ? (sums[l] as number) / (counts[l] as number) : level))
}
