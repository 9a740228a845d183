import { roundHalfAway } from '../../../util/index.ts'
import { sameGrid } from '../codes.ts'
import type { Scheme } from '../scheme.ts'
import { exactSoftmax } from './exact-softmax.ts'
import { roundedSums } from './real-factors.ts'
import { dequantizer, quantizer } from './real-values.ts'

const f = Math.fround

/** MegEngine's quantized kernels for processors: real factors, halves away from zero (`roundf`). */
export const megengine: Scheme = {
  name: 'megengine',
  title: 'MegEngine',
  summary: 'one float32 factor, rounded half away from zero; biases of int32',
  source: 'MegEngine, dnn/include/megdnn/dtype.h (DTypeParam::quantize), dnn/src/common/elemwise/kern_defs.cuh',
  rounding: 'half-away',
  bias: 'int32',
  sums: (site, output) => roundedSums(site, output, 'half-away'),
  add({ a, b, output }, sign) {
    const [x, y] = [dequantizer(a), dequantizer(b)]
    return (p, q) => roundHalfAway(f(f(x(p) + sign * y(q)) / output.scale)) + output.zeroPoint
  },
  mul({ a, b, output }) {
    const [x, y] = [dequantizer(a), dequantizer(b)]
    return (p, q) => roundHalfAway(f(f(x(p) * y(q)) / output.scale)) + output.zeroPoint
  },
  average({ input, output }) {
    return (codes, count, divisor) => {
      let sum = -count * input.zeroPoint
      for (let i = 0; i < count; i++) sum += codes[i] as number
      return roundHalfAway(f(f(f(sum / divisor) * input.scale) / output.scale)) + output.zeroPoint
    }
  },
  mean({ input, output, count }) {
    return (sum) =>
      roundHalfAway(f(f(f((sum - count * input.zeroPoint) / count) * input.scale) / output.scale)) + output.zeroPoint
  },
  rescale(from, to) {
    if (sameGrid(from, to)) return (code) => code
    const real = dequantizer(from)
    return (x) => roundHalfAway(f(real(x) / to.scale)) + to.zeroPoint
  },
  unary({ input, output, real = (x) => x }) {
    const value = dequantizer(input)
    return (x) => roundHalfAway(f(f(real(value(x))) / output.scale)) + output.zeroPoint
  },
  softmax: (site) => exactSoftmax(site, quantizer(site.output, 'half-away')),
}
