import type { Histogram, TensorStats } from '../calibration/index.ts'
import { type Observers, observe, observerNamed } from '../observers/index.ts'
import { measuredTensors, type QuantSpec, type Range, type TensorPlan } from '../quant/index.ts'
import type { SearchState } from './search.ts'

/** Tensors that get trials of their own, those with the most quantization noise first. */
const TENSORS = 8
/** Tensors in a row without any gain after which the rest, which matter less, are left alone. */
const PATIENCE = 4
const ALTERNATIVES = ['minmax', 'percentile', 'mse'] as const
/** Ranges closer than this share are the same for all practical purposes. */
const SAME_RANGE = 0.02

/** Tries other observers on the tensors that lose most, one after the other, and keeps what improves the outputs. */
export async function refineObservers(state: SearchState): Promise<void> {
  let fruitless = 0
  for (const tensor of noisiest(state).slice(0, TENSORS)) {
    const before = state.best
    for (const observer of alternatives(tensor, state)) {
      const options = { ...state.options, observers: { ...state.options.observers, [tensor.value]: observer } }
      const judged = await state.judge.measure(`${observer} for ${tensor.value}`, state.plan(options), state.isBetter)
      if (!state.isBetter(judged)) continue
      state.options = options
      state.best = judged
    }
    fruitless = state.best === before ? fruitless + 1 : 0
    if (fruitless === PATIENCE) return
  }
}

function noisiest(state: SearchState): TensorPlan[] {
  return measuredTensors(state.best.plan)
    .map((tensor) => ({ tensor, noise: tensorNoise(tensor, state) }))
    .sort((a, b) => b.noise - a.noise)
    .map(({ tensor }) => tensor)
}

/** Expected quantization noise of a tensor over its signal power; 0 where it is not measured. */
export function tensorNoise(tensor: TensorPlan, { stats, observers }: SearchState): number {
  const found = stats.get(tensor.value)
  return found ? noiseToSignal(found, tensor.spec, rangeNow(tensor, found, observers)) : 0
}

function rangeNow({ source, spec }: TensorPlan, stats: TensorStats, observers: Observers): Range {
  return source.kind === 'calibrate'
    ? observe(source.observer, stats, spec, source.options, observers)
    : rangeBy('minmax', stats, spec, observers)
}

const rangeBy = (observer: string, stats: TensorStats, spec: QuantSpec, observers: Observers): Range =>
  observe(observer, stats, spec, {}, observers)

/** Observers whose range differs noticeably from the current one. */
function alternatives(tensor: TensorPlan, { stats, observers }: SearchState): string[] {
  const found = stats.get(tensor.value)
  if (!found) return []
  const current = rangeNow(tensor, found, observers)
  const span = current.hi - current.lo
  return ALTERNATIVES.filter((observer) => {
    if (observerNamed(observer).wants.includes('histogram') && !found.histogram) return false
    const range = rangeBy(observer, found, tensor.spec, observers)
    return Math.abs(range.lo - current.lo) + Math.abs(range.hi - current.hi) > SAME_RANGE * span
  })
}

/** Expected quantization noise over signal power: step²/12 inside the range, the squared distance outside. */
function noiseToSignal({ histogram }: TensorStats, spec: QuantSpec, range: Range): number {
  if (!histogram) return 0
  const step = (range.hi - range.lo) / (spec.quantMax - spec.quantMin)
  let noise = 0
  let signal = 0
  forEachBin(histogram, (x, count) => {
    const outside = Math.max(range.lo - x, x - range.hi, 0)
    noise += count * (outside > 0 ? outside * outside : (step * step) / 12)
    signal += count * x * x
  })
  return signal > 0 ? noise / signal : 0
}

function forEachBin({ counts, first, width }: Histogram, visit: (x: number, count: number) => void): void {
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number
    if (count > 0) visit((first + i + 0.5) * width, count)
  }
}
