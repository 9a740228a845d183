import { Tensor } from '../../ir/index.ts'
import { fakeQuantize, forEachRun, type QuantParams } from '../../quant/index.ts'

/** Of a step: what keeps a weight on the side of its code, so that rounding to the nearest gives the code back. */
const REACH = 0.45

/**
 * Where learning begins: at the weight as it was trained, as far as it lies next to the code that it has now, so that what algorithms before
 * found is where this one starts from. A code further off is approached from the side of the trained weight.
 * @param now the weight as it is, rounded by another algorithm or not.
 */
export function startingWeight(trained: Tensor, now: Tensor, params: QuantParams): Tensor {
  const { dims } = trained
  const wanted = trained.numbers()
  const start = Float32Array.from(fakeQuantize(now.numbers(), params, dims))
  forEachRun(dims, params.spec.granularity, (from, to, p) => {
    const reach = REACH * (params.scale[p] as number)
    for (let i = from; i < to; i++) {
      const code = start[i] as number
      start[i] = code + Math.min(Math.max((wanted[i] as number) - code, -reach), reach)
    }
  })
  return Tensor.float32(dims, start)
}
