import { ROUND, type RoundingMode } from '../../../util/index.ts'
import type { Grid } from '../scheme.ts'

const f = Math.fround

export const clamp = (code: number, { min, max }: Grid): number => (code < min ? min : code > max ? max : code)

/** What a code stands for, in float32. */
export const dequantizer =
  ({ scale, zeroPoint }: Grid): ((code: number) => number) =>
  (code) =>
    f((code - zeroPoint) * scale)

/** The code of a float32 number: the quotient in float32, rounded, zero point added, cut (onnx.ai, QuantizeLinear). */
export function quantizer(grid: Grid, rounding: RoundingMode = 'half-even'): (x: number) => number {
  const { scale, zeroPoint } = grid
  const round = ROUND[rounding]
  return (x) => clamp(round(f(x / scale), 0) + zeroPoint, grid)
}
