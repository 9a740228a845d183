import { existsSync } from 'node:fs'
import { collectStats, requestsForPlan, type StatsTable, type TensorStats } from '@fewbit/core/calibration'
import { OBSERVERS, observe } from '@fewbit/core/observers'
import { planModel } from '@fewbit/core/pipeline'
import { quantSpec, type Range } from '@fewbit/core/quant'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { modelPath, networkNamed } from '../../bench/lib/networks.ts'
import { DATA, pick } from '../../bench/lib/shared-data.ts'

// Histograms count a sample. What that does to the chosen ranges, against histograms of every element of the same runs.

const SPEC = quantSpec({ bits: 8, signed: false, symmetric: false })
const SAMPLES = 100

async function collectBoth(name: string): Promise<{ sampled: StatsTable; full: StatsTable }> {
  const network = networkNamed(name)
  const engine = nodeEngine()
  const { plan, float } = await planModel(await loadModel(modelPath(network)), { engine })
  const data = pick(await network.calibration(float), (i) => i < SAMPLES)
  const requests = requestsForPlan(plan, OBSERVERS)
  const collect = (elements?: number) =>
    collectStats(float, engine, data, requests, { batchSize: 8, ...(elements ? { elements } : {}) })
  return { sampled: await collect(), full: await collect(Number.POSITIVE_INFINITY) }
}

/** How far the ends of the range move, as a share of the range that all elements give. */
function movement(observer: string, sampled: TensorStats, full: TensorStats): number {
  const [a, b] = [observe(observer, sampled, SPEC), observe(observer, full, SPEC)]
  return Math.max(Math.abs(a.lo - b.lo), Math.abs(a.hi - b.hi)) / (b.hi - b.lo)
}

/** Squared error of quantizing all elements with a range, from three points of each histogram bin. */
function squaredError({ histogram }: TensorStats, { lo, hi }: Range): number {
  const { width, first, counts } = histogram as NonNullable<typeof histogram>
  const scale = (hi - lo) / 255
  const zero = Math.round(-lo / scale)
  let sum = 0
  for (const [i, n] of counts.entries()) {
    for (const offset of n > 0 ? [1 / 6, 1 / 2, 5 / 6] : []) {
      const x = (first + i + offset) * width
      const code = Math.min(Math.max(Math.round(x / scale) + zero, 0), 255)
      sum += (n / 3) * ((code - zero) * scale - x) ** 2
    }
  }
  return sum
}

/** Decibels of signal to noise that the range chosen from the sample costs on all elements. */
function loss(observer: string, sampled: TensorStats, full: TensorStats): number {
  const error = (stats: TensorStats): number => squaredError(full, observe(observer, stats, SPEC))
  return 10 * Math.log10(error(sampled) / error(full))
}

// Entropy has no case: it counts occupied bins, of which a sample has fewer, and its ranges move by a quarter and more
// (docs/observers/entropy.md).
describe.skipIf(!existsSync(DATA)).each(['resnet20', 'squeezenet'])('ranges of %s from sampled histograms', (name) => {
  const both = collectBoth(name)
  const all = async (measure: (sampled: TensorStats, full: TensorStats) => number): Promise<number[]> => {
    const { sampled, full } = await both
    return [...full].map(([value, stats]) => measure(sampled.get(value) as TensorStats, stats)).sort((a, b) => a - b)
  }
  const middle = (sorted: readonly number[]): number => sorted[sorted.length >> 1] as number

  it('are those of all elements for minmax', async () => {
    expect(await all((a, b) => movement('minmax', a, b))).toEqual(await all(() => 0))
  })

  // The 99.99 percentile of 131,000 elements has 13 beyond it; their number has a standard error of a quarter. How far that
  // moves the end depends on the tail: 2 to 5 % of the range for half of the tensors, 10 % at most, seen here.
  it('move by a few percent for percentile', async () => {
    const moved = await all((a, b) => movement('percentile', a, b))
    expect(middle(moved)).toBeLessThan(0.06)
    expect(moved.at(-1)).toBeLessThan(0.15)
  })

  // The optimum is flat, so that its place says little: what counts is the error that the moved range makes on all elements.
  // Few tensors, those whose rare large values carry much of the energy, lose more than a decibel.
  it('cost half of the tensors less than half a decibel for mse', async () => {
    const lost = await all((a, b) => loss('mse', a, b))
    expect(middle(lost)).toBeLessThan(0.5)
    expect(lost.at(-1)).toBeLessThan(3)
  })
})
