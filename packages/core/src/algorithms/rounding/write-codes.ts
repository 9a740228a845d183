import { Tensor } from '../../ir/index.ts'
import { type QuantParams, quantize } from '../../quant/index.ts'
import { invariant } from '../../util/index.ts'
import { type CodeMatrix, type RoundingProblem, realValue } from './rounding-problem.ts'
import type { WeightedLayer } from './weighted-layer.ts'

/** The layer's weight with every element on its grid, so that rounding to the nearest finds the same codes. */
export function onGrid(layer: WeightedLayer, dims: readonly number[], problem: RoundingProblem, codes: CodeMatrix) {
  const values = new Float32Array(codes.length)
  layer.index.forEach((to, at) => {
    values[to] = realValue(problem, at, codes[at] as number)
  })
  return Tensor.float32(dims, values)
}

/** Parameters with the problem's scales. */
export const paramsOf = ({ spec, zeroPoint }: QuantParams, { scale }: RoundingProblem): QuantParams => ({
  spec,
  scale: Array.from(scale, Math.fround),
  zeroPoint,
})

/** Codes that materializing will find in a weight, in the problem's order. */
export function codesOf(layer: WeightedLayer, weight: Tensor, params: QuantParams): CodeMatrix {
  const noise = params.spec.rounding === 'stochastic' ? [0.5] : undefined
  const codes = quantize(weight.numbers(), params, weight.dims, noise)
  return Int32Array.from(layer.index, (at) => codes[at] as number)
}

/** Rounding modes other than the nearest would turn a product that float32 made a little smaller into the code below. */
export function demandCodes(found: CodeMatrix, wanted: CodeMatrix, name: string): void {
  invariant(
    found.every((code, i) => code === wanted[i]),
    () => `codes of "${name}" are not found again`,
  )
}
