import { dividedBy, roundHalfAway } from '../../../util/index.ts'
import type {
  Average,
  Combine,
  FixedFactor,
  Grid,
  MeanSite,
  PairSite,
  Requantize,
  Scheme,
  SumSite,
  UnarySite,
} from '../scheme.ts'
import { hardSwish } from './hard-swish.ts'
import { dequantizer } from './real-values.ts'
import { is16, reducedSums } from './reduced-sums.ts'
import { multiplyFixed, requantizeBy } from './sum-rules.ts'

const f = Math.fround

/** Which instructions run a channel: kernels take most by vectors, and what is left over one by one. */
export type Lane = 'vector' | 'scalar'

/** A real factor as an integer and a shift. */
export type Fix = (real: number, lane: Lane) => FixedFactor

/** x · real, for a real factor that is held so. */
type Multiply = (real: number, lane: Lane) => (x: number) => number

/** What tells TensorFlow Lite's relatives apart. */
export interface FixedPointParts extends Pick<Scheme, 'name' | 'title' | 'summary' | 'source'> {
  readonly fix: Fix
  /** Of products of two activations to the result: in the precision that the library computes it. */
  readonly product: (a: number, b: number, result: number) => number
  /** Channels that vector instructions of this width take; 0 where there are none. */
  readonly lanes: { readonly depthwise: number; readonly mean: number }
}

/** TensorFlow Lite shifts the operands of an Add to the left by this before it scales them: as far as int32 holds them. */
const addShift = (input: Grid): number => (is16(input) ? 15 : 20)

/** The arithmetic that TensorFlow Lite's int8 kernels share, on multipliers of 31 bits. */
export function fixedPointScheme(parts: FixedPointParts): Scheme {
  const { name, title, summary, source, fix } = parts
  const multiply = multiplyOf(fix)
  return {
    name,
    title,
    summary,
    source,
    rounding: 'half-away',
    bias: 'int32',
    sums: (site, output) => (is16(site.input) ? reducedSums(site, output) : sumsOf(parts, site, output)),
    add: (site, sign) => addOf(multiply, site, sign),
    mul({ a, b, output }) {
      const scaled = multiply(parts.product(a.scale, b.scale, output.scale), 'scalar')
      return (x, y) => scaled((x - a.zeroPoint) * (y - b.zeroPoint)) + output.zeroPoint
    },
    average: ({ input, output }) => averageOf(input, output),
    mean: (site) => meanOf(fix, parts.lanes, site),
    rescale: (from, to) => rescaled(multiply, from, to),
    unary: (site) => unaryOf(multiply, site),
    softmax: ({ input, output }) => softmaxRow(input, output),
  }
}

const multiplyOf =
  (fix: Fix): Multiply =>
  (real, lane) => {
    const factor = fix(real, lane)
    return (x) => multiplyFixed(x, factor)
  }

function sumsOf({ fix, lanes }: FixedPointParts, site: SumSite, output: Grid): Requantize {
  const { opType, depthwise, grouped, channels, input, weightScales } = site
  const isConv = opType.startsWith('Conv')
  const product = (w: number): number => (isConv ? input.scale * w : f(input.scale * w))
  const vectors = depthwise && lanes.depthwise > 0 ? channels - (channels % lanes.depthwise) : channels
  // Convolutions in groups run in the reference kernel.
  const lane = (c: number): Lane => (lanes.depthwise > 0 && !grouped && c < vectors ? 'vector' : 'scalar')
  const several = weightScales.length > 1 || vectors < channels
  const factors = Array.from({ length: several ? channels : 1 }, (_, c) =>
    fix(product(weightScales[weightScales.length > 1 ? c : 0] as number) / output.scale, lane(c)),
  )
  return requantizeBy({ kind: 'fixed', factors, zeroPoint: output.zeroPoint })
}

/** Both operands, shifted to the left, are brought to twice the larger scale, and their sum to the result's. */
function addOf(multiply: Multiply, { a, b, output }: PairSite, sign: 1 | -1): Combine {
  const twice = 2 * Math.max(a.scale, b.scale)
  const raised = 2 ** addShift(a)
  // There are vector instructions for 8 bits only.
  const lane = is16(a) ? 'scalar' : 'vector'
  const left = multiply(a.scale / twice, lane)
  const right = multiply(b.scale / twice, lane)
  const result = multiply(twice / (raised * output.scale), lane)
  return (x, y) =>
    result(left((x - a.zeroPoint) * raised) + sign * right((y - b.zeroPoint) * raised)) + output.zeroPoint
}

/** Sums of codes over their count, halves away from code 0; the scale stays. */
export function meanOfCodes(input: Grid, output: Grid): ((sum: number, count: number) => number) | string {
  if (input.scale !== output.scale || input.zeroPoint !== output.zeroPoint)
    return 'its result is on another grid than its data'
  return (sum, count) => {
    const half = Math.floor(count / 2)
    return Math.trunc((sum > 0 ? sum + half : sum - half) / count)
  }
}

function averageOf(input: Grid, output: Grid): Average | string {
  const mean = meanOfCodes(input, output)
  if (typeof mean === 'string') return mean
  return (codes, count) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += codes[i] as number
    return mean(sum, count)
  }
}

/**
 * Over height and width of images: the sum of codes by a multiplier for scale(x) / (n · scale(y)), plus a whole number for the zero points.
 * Otherwise the sum of codes less their zero point by a multiplier for scale(x) / scale(y) that was divided by n.
 */
function meanOf(fix: Fix, lanes: FixedPointParts['lanes'], { input, output, count, images }: MeanSite): Requantize {
  if (images === undefined) {
    // The quotient is not brought back to 31 bits: its first rounding is coarser.
    const whole = fix(input.scale / output.scale, 'scalar')
    const factor = { ...whole, ...dividedBy(whole, count) }
    return (sum) => multiplyFixed(sum - count * input.zeroPoint, factor) + output.zeroPoint
  }
  const real = f(input.scale / f(count * output.scale))
  const multiply = multiplyOf(fix)
  const [vector, scalar] = [multiply(real, 'vector'), multiply(real, 'scalar')]
  const bias = output.zeroPoint - roundHalfAway(f(f(input.zeroPoint * input.scale) / output.scale))
  const vectors = lanes.mean > 0 ? images - (images % lanes.mean) : 0
  return (sum, c) => (c < vectors ? vector(sum) : scalar(sum)) + bias
}

function rescaled(multiply: Multiply, from: Grid, to: Grid): (code: number) => number {
  const scaled = multiply(from.scale / to.scale, 'scalar')
  return (code) => scaled(code - from.zeroPoint) + to.zeroPoint
}

const sigmoid = (x: number): number => 1 / (1 + f(Math.exp(-x)))

function unaryOf(multiply: Multiply, site: UnarySite): ((code: number) => number) | undefined {
  const { opType, input, output } = site
  if (opType === 'LeakyRelu' || opType === 'PRelu') return leakyRelu(multiply, site)
  if (opType === 'HardSwish') return hardSwish(site)
  const real = opType === 'Sigmoid' ? sigmoid : site.real
  return real ? tableCode(real, input, output) : rescaled(multiply, input, output)
}

/** Negative codes by a factor that takes the slope along, or times the slope's code; float32 quotients. */
function leakyRelu(multiply: Multiply, { attributes, input, output }: UnarySite): (code: number) => number {
  const { alpha = 0.01, slope = Math.sign(alpha), slopeScale = Math.abs(alpha) } = attributes
  const positive = multiply(f(input.scale / output.scale), 'scalar')
  const negative = multiply(f(f(input.scale * f(slopeScale)) / output.scale), 'scalar')
  return (code) => {
    const x = code - input.zeroPoint
    return (x >= 0 ? positive(x) : negative(x * slope)) + output.zeroPoint
  }
}

/** Float functions as tables: values by one over the step, halves away from zero. */
function tableCode(real: (x: number) => number, input: Grid, output: Grid): (code: number) => number {
  const value = dequantizer(input)
  const inverse = f(1 / output.scale)
  return (code) => roundHalfAway(f(f(real(value(code))) * inverse)) + output.zeroPoint
}

/** Exponentials from a table of differences to the greatest code, in float32; halves up. */
function softmaxRow(input: Grid, output: Grid): (codes: Int32Array, out: Int32Array) => void {
  const table = Float32Array.from({ length: 256 }, (_, i) => Math.exp(f(-input.scale * (255 - i))))
  return (codes, out) => {
    const top = 255 - codes.reduce((m, c) => Math.max(m, c), input.min)
    const sum = codes.reduce((total, c) => f(total + (table[c + top] as number)), 0)
    const inverse = f(1 / f(sum * output.scale))
    for (let i = 0; i < codes.length; i++) {
      const code = Math.floor(f(f((table[(codes[i] as number) + top] as number) * inverse) + 0.5)) + output.zeroPoint
      out[i] = Math.max(output.min, Math.min(output.max, code))
    }
  }
}
