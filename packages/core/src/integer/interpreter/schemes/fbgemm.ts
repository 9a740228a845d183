import { roundHalfEven } from '../../../util/index.ts'
import { sameGrid } from '../codes.ts'
import type { Grid, Scheme } from '../scheme.ts'
import { exactSoftmax } from './exact-softmax.ts'
import { roundedSums, scaledSums } from './real-factors.ts'
import { dequantizer } from './real-values.ts'

const f = Math.fround

/**
 * PyTorch's quantizer adds the zero point in float32 and rounds then, so that ties go to even codes (FBGEMM, QuantUtils.h, Quantize). So do
 * averages of NCHW data (AveragePool2d.cpp). Vector kernels do so only with the elements that are left over behind full vectors; they are followed
 * as their vectors round.
 */
function codesOf({ scale, zeroPoint }: Grid): (x: number) => number {
  const inverse = f(1 / scale)
  return (x) => roundHalfEven(f(zeroPoint + f(x * inverse)))
}

/** PyTorch's quantized operators on x86. */
export const fbgemm: Scheme = {
  name: 'fbgemm',
  title: 'PyTorch, FBGEMM',
  summary: 'one float32 factor for each channel, rounded half to even; biases are added in float, unrounded',
  source: 'FBGEMM, QuantUtilsAvx2.cc (requantizeOutputProcessing); PyTorch, aten/src/ATen/native/quantized/cpu',
  rounding: 'half-even',
  bias: 'real',
  sums: roundedSums,
  real: scaledSums,
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
      return roundHalfEven(f(f(sum * f(factor / divisor)) + output.zeroPoint))
    }
  },
  mean({ input, output, count }) {
    const factor = f(input.scale / output.scale)
    return (sum) => roundHalfEven(((sum - count * input.zeroPoint) / count) * factor + output.zeroPoint)
  },
  rescale(from, to) {
    if (sameGrid(from, to)) return (code) => code
    const [real, code] = [dequantizer(from), codesOf(to)]
    return (x) => code(real(x))
  },
  unary({ input, output, real }) {
    if (!real) return fbgemm.rescale(input, output)
    const [value, inverse] = [dequantizer(input), f(1 / output.scale)]
    return (x) => roundHalfEven(f(f(real(value(x))) * inverse)) + output.zeroPoint
  },
  softmax: (site) => exactSoftmax(site, codesOf(site.output)),
}
