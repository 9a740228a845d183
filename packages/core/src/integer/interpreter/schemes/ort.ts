import { roundHalfEven } from '../../../util/index.ts'
import { sameGrid } from '../codes.ts'
import type { Average, Combine, Grid, MeanSite, PairSite, Scheme, SoftmaxRow, SoftmaxSite } from '../scheme.ts'
import { logistic } from './mlas-logistic.ts'
import { roundedSums, scaledSums } from './real-factors.ts'
import { clamp, dequantizer, quantizer } from './real-values.ts'

const f = Math.fround

/** Operators of one operand whose float32 arithmetic is not that of a float64 formula rounded once. */
const TABLES: Readonly<Record<string, (x: number, attributes: Readonly<Record<string, number>>) => number>> = {
  Sigmoid: logistic,
  HardSigmoid: (x, { alpha = 0.2, beta = 0.5 }) => hardSigmoid(x, f(alpha), f(beta)),
  HardSwish: (x) => x * hardSigmoid(x, f(1 / 6), 0.5),
}

const hardSigmoid = (x: number, alpha: number, beta: number): number => Math.max(0, Math.min(1, f(f(alpha * x) + beta)))

/** Operators with a kernel here that ONNX Runtime runs in float all the same. Tables and moves give the codes of its float operators. */
const FLOAT: ReadonlySet<string> = new Set(['ConvTranspose', 'Sub', 'ReduceMean'])

/** ONNX Runtime's integer kernels for processors, as MLAS computes them. */
export const ort: Scheme = {
  name: 'ort',
  title: 'ONNX Runtime',
  summary: 'one float32 factor for each channel, rounded half to even; biases of int32',
  source: 'onnxruntime 1.30: core/mlas/lib (qgemm, quantize, qladd, qlmul, qlgavgpool), contrib_ops/cpu/quantization',
  rounding: 'half-even',
  bias: 'int32',
  declines(opType, output) {
    if (FLOAT.has(opType)) return `ONNX Runtime has no integer kernel for ${opType}`
    return output && !/^u?int8$/.test(output.dtype)
      ? `ONNX Runtime has no integer kernel for ${output.dtype}`
      : undefined
  },
  sums: roundedSums,
  real: (site) => (site.opType === 'Conv' ? undefined : scaledSums(site)),
  add: addOf,
  mul({ a, b, output }) {
    const factor = f(f(a.scale * b.scale) / output.scale)
    const zero = output.zeroPoint + lift(output)
    return (x, y) => roundHalfEven(f(f((x - a.zeroPoint) * (y - b.zeroPoint) * factor) + zero)) - lift(output)
  },
  average: averageOf,
  mean({ input, output, count }: MeanSite) {
    const factor = f(input.scale / f(output.scale * count))
    const bias = -input.zeroPoint * count
    return (sum) => roundHalfEven(f(f(sum + bias) * factor)) + output.zeroPoint
  },
  rescale(from, to) {
    if (sameGrid(from, to)) return (code) => code
    const [real, code] = [dequantizer(from), quantizer(to)]
    return (x) => code(real(x))
  },
  unary({ opType, attributes, input, output, real }) {
    const [value, code] = [dequantizer(input), quantizer(output)]
    if (opType === 'Relu' || opType === 'Clip') return (x) => code(value(x))
    const apply = TABLES[opType] ?? real
    return apply && ((x) => code(f(apply(value(x), attributes))))
  },
  softmax: softmaxOf,
}

/** The same on x86 processors without VNNI. */
export const ortPairs: Scheme = {
  ...ort,
  name: 'ort-pairs',
  title: 'ONNX Runtime, x86 without VNNI',
  summary: 'as ort, but neighbouring products of 8 bits are added in 16 bits that saturate',
  source: 'onnxruntime 1.30: core/mlas/lib/amd64/QgemmU8S8KernelAvx2.asm (vpmaddubsw)',
  pairs: true,
}

/** On x86 signed codes are moved up to unsigned ones before anything runs, which float32 sums with zero points feel. */
const lift = ({ min }: Grid): number => (min < 0 ? 128 : 0)

/** a · ra + (b · rb + c) in fused multiply-adds; c takes the three zero points along. */
function addOf({ a, b, output }: PairSite, sign: 1 | -1): Combine {
  const [ra, rb] = [f(a.scale / output.scale), sign * f(b.scale / output.scale)]
  const zero = (grid: Grid): number => grid.zeroPoint + lift(grid)
  const shift = f(zero(output) - f(f(ra * zero(a)) + f(rb * zero(b))))
  const [up, right, down] = [lift(a), lift(b), lift(output)]
  // The product of two float32 numbers is exact in float64.
  return (x, y) => roundHalfEven(f((x + up) * ra + f((y + right) * rb + shift))) - down
}

/** The kernel pools real values, added up in the order of the window. */
function averageOf({ input, output }: Omit<MeanSite, 'count'>): Average {
  const real = dequantizer(input)
  const zero = output.zeroPoint + lift(output)
  return (codes, count, divisor) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum = f(sum + real(codes[i] as number))
    return roundHalfEven(f(f(f(sum / divisor) / output.scale) + zero)) - lift(output)
  }
}

/** Exponentials of a table that lies below float32's range by what the row may add up to. */
function softmaxOf({ input, output, length }: SoftmaxSite): SoftmaxRow {
  const reach = Math.max(0, Math.log(f(3.4028234663852886e38 / length)) - 5) / input.scale
  const table = Float32Array.from({ length: 256 }, (_, i) => Math.exp((i - 255 + reach) * input.scale))
  const steps = Math.floor(f(1 / output.scale))
  return (codes, out) => {
    const top = 255 - codes.reduce((m, c) => Math.max(m, c), input.min)
    const at = (code: number): number => table[code + top] as number
    let sum = 0
    for (const code of codes) sum = f(sum + at(code))
    for (let i = 0; i < codes.length; i++) {
      const code = roundHalfEven(f(f(at(codes[i] as number) * steps) / sum)) + output.zeroPoint
      out[i] = clamp(code, output)
    }
  }
}
