import { float32Above, float32AtLeast, roundHalfEven } from '../../util/index.ts'
import { type LevelGrid, makeGrid } from './grid.ts'

/** Steps of one octave. */
const STEPS = 16
const HIGHEST = 127
/** Sign bit; alone it stands for zero, since negative codes start at 1. */
const SIGN = 0x80

/** 16·log2 of the highest level: NNIE's z is this − 127, `z = rne(16 · log2 max) − 127`. */
const topStep = (magnitude: number): number => roundHalfEven(STEPS * Math.log2(magnitude))

const power = (step: number): number => 2 ** (step / STEPS)

/** The highest level for data that reach to `magnitude` > 0, within half a step. */
export const log2Scale = (magnitude: number): number => Math.fround(power(topStep(magnitude)))

/**
 * HiSilicon NNIE's 8-bit logarithmic numbers: ±2^((k + z) / 16), k = 0…127 (negative ones 1…127), and zero, in 16 steps an octave.
 * Rounds 16·log2|x| to the nearest; below 2^((z − 16) / 16), or 2^((z − 15) / 16) on the negative side, lies zero.
 * @param scale the highest level, from which z follows.
 */
export function log2Grid(scale: number): LevelGrid {
  const z = topStep(scale) - HIGHEST
  const steps = Array.from({ length: HIGHEST }, (_, i) => i + 1)
  const positive = [0, ...steps]
  const negative = steps.toReversed()
  const between = (k: number) => power(k + 0.5 + z)
  return makeGrid({
    absolute: true,
    levels: Float32Array.from([...negative.map((k) => -power(k + z)), 0, ...positive.map((k) => power(k + z))]),
    codes: [...negative.map((k) => SIGN | k), SIGN, ...positive],
    thresholds: Float32Array.from([
      ...negative.slice(1).map((k) => float32AtLeast(-between(k))),
      float32AtLeast(-power(z + 1 - STEPS)),
      float32Above(power(z - STEPS)),
      ...positive.slice(1).map((k) => float32AtLeast(between(k - 1))),
    ]),
  })
}
