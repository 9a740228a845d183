import { ROUND } from '../../../util/index.ts'
import { sameGrid } from '../codes.ts'
import type { Scheme } from '../scheme.ts'
import { factorsOf } from './fbgemm.ts'
import { dequantizer } from './real-values.ts'

const f = Math.fround
const roundAway = (x: number): number => ROUND['half-away'](x, 0)

/** MegEngine's quantized kernels for processors: real factors, halves away from zero (`roundf`). */
export const megengine: Scheme = {
  name: 'megengine',
  title: 'MegEngine',
  summary: 'one float32 factor, rounded half away from zero; biases of int32',
  source: 'MegEngine, dnn/include/megdnn/dtype.h (DTypeParam::quantize), dnn/src/common/elemwise/kern_defs.cuh',
  rounding: 'half-away',
  bias: 'int32',
  sums(site, output) {
    const factors = factorsOf(site, output.scale)
    const last = factors.length - 1
    const zero = output.zeroPoint
    return (sum, c) => roundAway(f(f(sum) * (factors[Math.min(c, last)] as number))) + zero
  },
  add({ a, b, output }, sign) {
    const [x, y] = [dequantizer(a), dequantizer(b)]
    return (p, q) => roundAway(f(f(x(p) + sign * y(q)) / output.scale)) + output.zeroPoint
  },
  mul({ a, b, output }) {
    const [x, y] = [dequantizer(a), dequantizer(b)]
    return (p, q) => roundAway(f(f(x(p) * y(q)) / output.scale)) + output.zeroPoint
  },
  average({ input, output }) {
    return (codes, count, divisor) => {
      let sum = -count * input.zeroPoint
      for (let i = 0; i < count; i++) sum += codes[i] as number
      return roundAway(f(f(f(sum / divisor) * input.scale) / output.scale)) + output.zeroPoint
    }
  },
  mean({ input, output, count }) {
    return (sum) =>
      roundAway(f(f(f((sum - count * input.zeroPoint) / count) * input.scale) / output.scale)) + output.zeroPoint
  },
  rescale(from, to) {
    if (sameGrid(from, to)) return (code) => code
    const real = dequantizer(from)
    return (x) => roundAway(f(real(x) / to.scale)) + to.zeroPoint
  },
  unary({ opType, input, output }) {
    const real = dequantizer(input)
    if (opType === 'Relu' || opType === 'Clip') return (x) => roundAway(f(real(x) / output.scale)) + output.zeroPoint
    return undefined
  },
}
