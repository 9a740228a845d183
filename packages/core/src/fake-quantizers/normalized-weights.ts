import {
  coveredRange,
  dataRanges,
  forEachRun,
  type Granularity,
  powerOfTwo,
  type QuantParams,
  type QuantSpec,
  stepsAboutZero,
  symmetricZero,
} from '../quant/index.ts'
import type { OptionSpec } from '../util/index.ts'
import type { QuantizerContext, QuantizerState, WeightValues } from './define.ts'
import { numbersOf } from './uniform-state.ts'

/**
 * Rules that normalize weights first change what a layer computes by a factor. `keep`: the factor is made good, so that weights begin as
 * they were. `unit`: it is not, as in the papers, whose networks have BatchNormalization behind each layer.
 */
export type Gain = 'keep' | 'unit'

export const gainOption: OptionSpec<Gain> = {
  summary: 'keep: normalized weights get their magnitude back; unit: they do not, for networks trained from scratch',
  default: 'keep',
  choices: ['keep', 'unit'],
}

/** The largest magnitude of each channel, or of the tensor; 1 where all is zero. */
export function magnitudes({ values, params, shape }: QuantizerContext): number[] {
  const { granularity } = params.spec
  const ranges = values && shape ? dataRanges(values, shape as number[], granularity) : observedRanges(params)
  return ranges.map(({ lo, hi }) => Math.fround(Math.max(-lo, hi)) || 1)
}

const observedRanges = ({ spec, scale, zeroPoint }: QuantParams) =>
  scale.map((s, i) => coveredRange({ scale: s, zeroPoint: zeroPoint[i] ?? 0 }, spec))

/** The axes over which a weight is normalized: all, or all but the channels'. */
export function normalizedAxes({ params, shape }: QuantizerContext): number[] {
  const { granularity } = params.spec
  const rank = shape?.length ?? 0
  const kept = granularity.kind === 'channel' ? (granularity.axis + rank) % rank : undefined
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== kept)
}

/** What a normalization makes of the elements of each channel, or of all: `map` gets them, and which parameter is theirs. */
export function mapChannels(
  { values, dims }: WeightValues,
  granularity: Granularity,
  map: (elements: Float32Array, parameter: number) => (x: number) => number,
): Float32Array {
  const groups = new Map<number, number[]>()
  forEachRun(dims, granularity, (start, end, p) => {
    const indices = groups.get(p) ?? []
    for (let i = start; i < end; i++) indices.push(i)
    groups.set(p, indices)
  })
  const out = new Float32Array(values.length)
  for (const [p, indices] of groups) {
    const to = map(
      Float32Array.from(indices, (i) => values[i] as number),
      p,
    )
    for (const i of indices) out[i] = to(values[i] as number)
  }
  return out
}

/** Parameter p of those that are one for each channel, or one for all. */
export const ofChannel = (state: QuantizerState, name: string, p: number): number => {
  const numbers = numbersOf(state, name)
  return numbers[p] ?? (numbers[0] as number)
}

/** How many steps of an even grid lie between 0 and the largest weight. */
export const reachOfWeights = (spec: QuantSpec): number => {
  if (!spec.symmetric) return (spec.quantMax - spec.quantMin) / 2
  const { below, above } = stepsAboutZero(spec)
  return Math.min(below, above)
}

/** Normalized weights are symmetric about zero: where a target has zero points, theirs is the middle. */
export const zeroOfWeights = ({ spec, zeroPoint }: QuantParams): number =>
  spec.symmetric ? (zeroPoint[0] ?? 0) : symmetricZero(spec)

/** The scale that a grid has in the place of an exact one: a power of two, the nearest by its logarithm, where the target shifts. */
export const storedScale = (exact: number, spec: QuantSpec): number =>
  spec.powerOfTwo ? powerOfTwo(exact, 'round') : exact
