import { existsSync } from 'node:fs'
import { collectStats, requestsForPlan, type StatsTable, type TensorStats } from '@fewbit/core/calibration'
import { OBSERVERS, observe } from '@fewbit/core/observers'
import { planModel } from '@fewbit/core/pipeline'
import { quantSpec, type Range } from '@fewbit/core/quant'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { beforeAll, describe, expect, it } from 'vitest'
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

// Entropy has no case: it counts occupied bins, of which a sample has fewer, and its optimum is flat. Its ranges move by a tenth
// and more (docs/observers/entropy.md).
describe.skipIf(!existsSync(DATA)).each(['resnet20', 'squeezenet'])('ranges of %s from sampled histograms', (name) => {
  let both: Awaited<ReturnType<typeof collectBoth>>
  beforeAll(async () => {
    both = await collectBoth(name)
  })
  const all = async (measure: (sampled: TensorStats, full: TensorStats) => number): Promise<number[]> => {
    const { sampled, full } = both
    return [...full].map(([value, stats]) => measure(sampled.get(value) as TensorStats, stats)).sort((a, b) => a - b)
  }
  const quantile = (sorted: readonly number[], share: number): number =>
    sorted[Math.floor(sorted.length * share)] as number

  it('are those of all elements for minmax', async () => {
    expect(await all((a, b) => movement('minmax', a, b))).toEqual(await all(() => 0))
  })

  // Seen: 0.5 % of the range for half of the tensors, 1.7 % for nine in ten, 3.5 % at most. The 99.99 percentile lies within the
  // exactly counted tail of most samples; what moves it is samples whose tails are fuller than others'.
  it('hold still for percentile', async () => {
    const moved = await all((a, b) => movement('percentile', a, b))
    expect(quantile(moved, 0.5)).toBeLessThan(0.015)
    expect(quantile(moved, 0.9)).toBeLessThan(0.03)
    expect(moved.at(-1)).toBeLessThan(0.06)
  })

  // Seen: one step of the search, 0.9 %, for half of the tensors, 2.8 % at most; 0.03 dB at most on all elements.
  it('hold still for mse, and cost no tensor a tenth of a decibel', async () => {
    const moved = await all((a, b) => movement('mse', a, b))
    expect(quantile(moved, 0.5)).toBeLessThan(0.015)
    expect(moved.at(-1)).toBeLessThan(0.05)
    const lost = await all((a, b) => loss('mse', a, b))
    expect(lost.at(-1)).toBeLessThan(0.1)
  })
})
