import { sameGrid } from '../codes.ts'
import type { Grid, Scheme } from '../scheme.ts'
import { exactSoftmax } from './exact-softmax.ts'
import { rescaledSums } from './real-factors.ts'
import { dequantizer, quantizer } from './real-values.ts'
import { halfAdded } from './sum-rules.ts'

const f = Math.fround

/** Kernels multiply by the float32 reciprocal of the step. */
function codesOf({ scale, zeroPoint }: Grid): (x: number) => number {
  const inverse = f(1 / scale)
  return (x) => halfAdded(f(x * inverse)) + zeroPoint
}

/** MegEngine's quantized kernels for processors: real factors, halves away from zero (`roundf`). */
export const megengine: Scheme = {
  name: 'megengine',
  title: 'MegEngine',
  summary: 'real values times the float32 reciprocal of the step, rounded half away from zero; biases of int32',
  source: 'MegEngine, dnn/include/megdnn/dtype.h (DTypeParam::quantize), dnn/src/common/elemwise/kern_defs.cuh',
  rounding: 'half-away',
  bias: 'int32',
  sums: rescaledSums,
  add({ a, b, output }, sign) {
    const [x, y, code] = [dequantizer(a), dequantizer(b), codesOf(output)]
    return (p, q) => code(f(x(p) + sign * y(q)))
  },
  mul({ a, b, output }) {
    const [x, y, code] = [dequantizer(a), dequantizer(b), codesOf(output)]
    return (p, q) => code(f(x(p) * y(q)))
  },
  average({ input, output }) {
    const code = codesOf(output)
    return (codes, count, divisor) => {
      let sum = -count * input.zeroPoint
      for (let i = 0; i < count; i++) sum += codes[i] as number
      return code(f(f(sum / divisor) * input.scale))
    }
  },
  mean({ input, output, count }) {
    const code = codesOf(output)
    return (sum) => code(f(f((sum - count * input.zeroPoint) / count) * input.scale))
  },
  rescale(from, to) {
    if (sameGrid(from, to)) return (code) => code
    const [real, code] = [dequantizer(from), codesOf(to)]
    return (x) => code(real(x))
  },
  unary({ input, output, real = (x) => x }) {
    const [value, code] = [dequantizer(input), codesOf(output)]
    return (x) => code(f(real(value(x))))
  },
  softmax: (site) => exactSoftmax(site, quantizer(site.output, 'half-away')),
}
