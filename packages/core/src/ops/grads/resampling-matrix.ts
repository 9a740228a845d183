/** How Resize maps outputs to inputs: attributes of the operator. */
export interface Resampling {
  readonly mode: string
  readonly coordinates: string
  readonly nearest: string
  readonly cubic: number
  /** Cubic weights beyond the ends count as zero, and the others are scaled up. */
  readonly excludeOutside: boolean
}

/** Position in the input of output `x`, in float32 as ONNX Runtime computes it. */
const COORDINATES: Readonly<Record<string, (x: number, scale: number, from: number, to: number) => number>> = {
  asymmetric: (x, scale) => Math.fround(x / scale),
  half_pixel: halfPixel,
  pytorch_half_pixel: (x, scale, _, to) => (to > 1 ? halfPixel(x, scale) : 0),
  align_corners: (x, _, from, to) => (to === 1 ? 0 : Math.fround((x * (from - 1)) / (to - 1))),
}

function halfPixel(x: number, scale: number): number {
  return Math.fround(Math.fround((x + 0.5) / scale) - 0.5)
}

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
}

/**
 * For each output along one axis, the input that it copies in mode `nearest`.
 * @returns undefined for rules that nothing here knows.
 */
export function nearestSources(
  { coordinates, nearest }: Pick<Resampling, 'coordinates' | 'nearest'>,
  from: number,
  to: number,
  scale: number,
): Int32Array | undefined {
  const [position, round] = [COORDINATES[coordinates], NEAREST[nearest]]
  if (!position || !round) return undefined
  return Int32Array.from({ length: to }, (_, o) => Math.min(Math.max(round(position(o, scale, from, to)), 0), from - 1))
}

export const isResamplingMode = ({ mode, coordinates, nearest }: Resampling): boolean =>
  coordinates in COORDINATES && (mode === 'linear' || mode === 'cubic' || (mode === 'nearest' && nearest in NEAREST))

/** The matrix [to, from] by which Resize maps one axis, row by row. */
export function resamplingMatrix(how: Resampling, from: number, to: number, scale: number): Float64Array {
  const matrix = new Float64Array(to * from)
  const nearest = how.mode === 'nearest' ? nearestSources(how, from, to, scale) : undefined
  const limit = (x: number) => Math.min(Math.max(x, 0), from - 1)
  for (let o = 0; o < to; o++) {
    const at = COORDINATES[how.coordinates]?.(o, scale, from, to) ?? o
    const add = (i: number, weight: number) => {
      matrix[o * from + i] = (matrix[o * from + i] ?? 0) + weight
    }
    if (nearest) add(nearest[o] ?? o, 1)
    else if (how.mode === 'cubic') for (const [i, weight] of cubicTaps(how, at, from)) add(limit(i), weight)
    else {
      const low = Math.floor(limit(at))
      const part = limit(at) - low
      add(low, 1 - part)
      add(limit(low + 1), part)
    }
  }
  return matrix
}

/** The four elements around a position and their weights (Keys 1981). */
function cubicTaps({ cubic: a, excludeOutside }: Resampling, at: number, from: number): [number, number][] {
  const low = Math.floor(at)
  const taps = [-1, 0, 1, 2].map((k): [number, number] => [low + k, cubicWeight(a, Math.abs(at - low - k))])
  if (!excludeOutside) return taps
  const inside = taps.filter(([i]) => i >= 0 && i < from)
  const total = inside.reduce((sum, [, weight]) => sum + weight, 0)
  return inside.map(([i, weight]) => [i, weight / total])
}

/** Of an element at distance t < 2. */
const cubicWeight = (a: number, t: number): number =>
  t <= 1 ? ((a + 2) * t - (a + 3)) * t * t + 1 : ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
