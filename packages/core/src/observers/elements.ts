import { fakeQuantize, perTensor, type QuantSpec, type ScaleZero } from '../quant/index.ts'
import { must, roundHalfEven } from '../util/index.ts'
import type { TensorStats } from './define.ts'

/** The elements that are known of a tensor, in one array. */
export function elementsOf(stats: TensorStats): Float32Array {
  const series = must(stats.series, 'elements')
  const [only] = series
  if (only && series.length === 1) return only.values
  const all = new Float32Array(series.reduce((sum, { values }) => sum + values.length, 0))
  let at = 0
  for (const { values } of series) {
    all.set(values, at)
    at += values.length
  }
  return all
}

/** x / scale in float32, rounded half to even and clipped, as a distance from the zero point: as kernels quantize. */
export function stepsOf(x: number, { scale, zeroPoint }: ScaleZero, { quantMin, quantMax }: QuantSpec): number {
  return Math.min(Math.max(roundHalfEven(Math.fround(x / scale)), quantMin - zeroPoint), quantMax - zeroPoint)
}

/** Mean of |x̂ − x|^power. */
export function gridError(values: Float32Array, grid: ScaleZero, spec: QuantSpec, power: number): number {
  const there = spec.format || spec.rounding ? roundTrip(values, grid, spec) : undefined
  let sum = 0
  for (let i = 0; i < values.length; i++) {
    const x = values[i] as number
    const error = Math.abs((there ? (there[i] as number) : stepsOf(x, grid, spec) * grid.scale) - x)
    sum += power === 2 ? error * error : error ** power
  }
  return sum / values.length
}

/** Other number formats and roundings have their own arithmetic. */
function roundTrip(values: Float32Array, { scale, zeroPoint }: ScaleZero, spec: QuantSpec): Float32Array {
  // Noise is no part of an error to choose by: its mean is that of rounding to the nearest.
  const { rounding, ...rest } = spec
  const settled = rounding === 'stochastic' ? rest : spec
  return fakeQuantize(values, {
    spec: { ...settled, granularity: perTensor() },
    scale: [scale],
    zeroPoint: [zeroPoint],
  })
}
