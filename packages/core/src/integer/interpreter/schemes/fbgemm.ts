import { roundHalfEven } from '../../../util/index.ts'
import { sameGrid } from '../codes.ts'
import type { Scheme, SumSite } from '../scheme.ts'
import { dequantizer } from './real-values.ts'

const f = Math.fround

/** float32(scale(x) · scale(w)) / scale(y). */
export const factorsOf = ({ input, weightScales }: SumSite, step: number): Float32Array =>
  Float32Array.from(weightScales, (w) => f(f(input.scale * w) / step))

/** PyTorch's quantized operators on x86. */
export const fbgemm: Scheme = {
  name: 'fbgemm',
  title: 'PyTorch, FBGEMM',
  summary: 'one float32 factor for each channel, rounded half to even; biases are added in float, unrounded',
  source: 'FBGEMM, QuantUtilsAvx2.cc (requantizeOutputProcessing); PyTorch, aten/src/ATen/native/quantized/cpu',
  rounding: 'half-even',
  bias: 'real',
  sums(site, output) {
    const factors = factorsOf(site, output.scale)
    const last = factors.length - 1
    const zero = output.zeroPoint
    return (sum, c) => roundHalfEven(f(f(sum) * (factors[Math.min(c, last)] as number))) + zero
  },
  real(site) {
    const factors = factorsOf(site, 1)
    const last = factors.length - 1
    return (sum, c) => f(f(sum) * (factors[Math.min(c, last)] as number))
  },
  add({ a, b, output }, sign) {
    const [x, y] = [dequantizer(a), dequantizer(b)]
    const inverse = f(1 / output.scale)
    return (p, q) => roundHalfEven(f(f(x(p) + sign * y(q)) * inverse)) + output.zeroPoint
  },
  mul({ a, b, output }) {
    const factor = f(f(a.scale * b.scale) * f(1 / output.scale))
    return (x, y) => roundHalfEven(f((x - a.zeroPoint) * (y - b.zeroPoint) * factor)) + output.zeroPoint
  },
  average({ input, output }) {
    const factor = f(input.scale / output.scale)
    return (codes, count, divisor) => {
      let sum = -count * input.zeroPoint
      for (let i = 0; i < count; i++) sum += codes[i] as number
      return roundHalfEven((sum / divisor) * factor) + output.zeroPoint
    }
  },
  mean({ input, output, count }) {
    const factor = f(input.scale / output.scale)
    return (sum) => roundHalfEven(((sum - count * input.zeroPoint) / count) * factor) + output.zeroPoint
  },
  rescale(from, to) {
    if (sameGrid(from, to)) return (code) => code
    const [real, inverse] = [dequantizer(from), f(1 / to.scale)]
    return (x) => roundHalfEven(f(real(x) * inverse)) + to.zeroPoint
  },
  unary({ opType, input, output }) {
    const [real, inverse] = [dequantizer(input), f(1 / output.scale)]
    if (opType === 'Relu' || opType === 'Clip') return (x) => roundHalfEven(f(real(x) * inverse)) + output.zeroPoint
    return undefined
  },
}
