import type { Node, Value } from '../../../ir/index.ts'
import { intAttribute } from '../../../passes/index.ts'
import { integerRange, must, roundHalfEven } from '../../../util/index.ts'
import { type Codes, codesOf } from '../../quantizers.ts'
import { intervalOf, leavesInt32 } from '../interval.ts'
import { paddedLength } from '../kernels/kernels.ts'
import { channelsLast } from '../kernels/saturating.ts'
import type { Grid, Scheme } from '../scheme.ts'
import { is16 } from '../schemes/reduced-sums.ts'
import type { SumFacts } from './layer.ts'

/** Where the weights of a layer stand in their tensor. */
export interface WeightLayout {
  readonly channels: number
  readonly terms: number
  /** Index of one channel's term in the tensor. */
  at(channel: number, term: number): number
  /** Terms that share an input channel: the places of a window. */
  readonly area: number
  /** Axis of the output channels. */
  readonly axis: number
}

export interface ConstantWeights {
  readonly codes: Codes
  readonly dims: readonly number[]
}

/** Weights that are constant codes, or the reason why they are not. */
export function constantWeights(value: Value | null | undefined): ConstantWeights | string {
  const codes = codesOf(value)
  const tensor = codes?.codes.constant
  if (!codes || !tensor) return 'its weights are not constant codes'
  if (codes.dequantizer.attributes.has('block_size')) return 'its weights have a scale for each block within a channel'
  if (!integerRange(tensor.dtype)) return `its weights are ${tensor.dtype}`
  return { codes, dims: tensor.dims }
}

/** Subtracted from codes, so that 16 bits fit signed registers, and 8 bits are unsigned as x86 kernels want them. */
export const shiftOf = ({ dtype }: Grid): number => (dtype === 'uint16' ? 32768 : dtype === 'int8' ? -128 : 0)

/** Weights as rows and the bias that takes the input's zero point along; sums of raw codes start from it. */
export interface Prepared extends SumFacts {
  readonly scales: ArrayLike<number>
  /** The same bias for sums that may leave int32: given where those of 16-bit data are not proven to stay within. */
  readonly wideBias?: Float64Array
  /** What is left of a bias that is not rounded, in steps of the sum. */
  readonly fractions?: Float32Array
  readonly notes: readonly string[]
}

/**
 * Folds what is known before deployment into the bias: Σ w·(x − z) + b = Σ w·x + (b − z·Σ w).
 * (Li et al., MQBench: Towards Reproducible and Deployable Model Quantization Benchmark, 2021.)
 * @returns the reason where the weights cannot be held.
 */
export function prepareWeights(
  { codes, dims }: ConstantWeights,
  layout: WeightLayout,
  { input, bias, scheme }: { input: Grid; bias: Value | null | undefined; scheme: Scheme },
): Prepared | string {
  const { scale, zeroPoint, dequantizer } = codes
  const rank = dims.length
  const axis = intAttribute(dequantizer, 'axis', 1)
  if (scale.length > 1 && (axis + rank) % rank !== layout.axis)
    return 'its weights have scales along another axis than the channels'
  const { channels, terms } = layout
  const stride = paddedLength(terms)
  const weights = new Int16Array(channels * stride)
  const sums = new Float64Array(channels)
  const stored = must(codes.codes.constant, 'weights').numbers()
  for (let c = 0; c < channels; c++) {
    const zero = zeroPoint[zeroPoint.length > 1 ? c : 0] ?? 0
    for (let k = 0; k < terms; k++) {
      const w = (stored[layout.at(c, k)] as number) - zero
      weights[c * stride + k] = w
      sums[c] = (sums[c] as number) + w
    }
  }
  const steps = biasInSteps(bias, { channels, scale, input, scheme })
  if (typeof steps === 'string') return steps
  const shift = shiftOf(input)
  const folded = Float64Array.from(sums, (sum, c) => (steps.whole[c] as number) - (input.zeroPoint - shift) * sum)
  // Depthwise kernels multiply in 32 bits.
  const inPairs = /^u?int8$/.test(input.dtype) && terms > layout.area
  const order = inPairs ? { order: channelsLast(terms, layout.area) } : {}
  const rest = steps.fractions ? { fractions: steps.fractions } : {}
  const plainBias = steps.whole
  const wrapped = Int32Array.from(folded, wrap)
  const facts = { weights, terms, stride, channels, bias: wrapped, plainBias, input, shift }
  const wide = is16(input) && leavesInt32(intervalOf(facts)) ? { wideBias: folded } : {}
  return { ...facts, scales: scale, notes: steps.notes, ...order, ...rest, ...wide }
}

/** Modulo 2^32: where the whole sum fits, what was folded may wrap on the way. */
const wrap = (v: number): number => Number(BigInt.asIntN(32, BigInt(v)))

interface Steps {
  readonly whole: Float64Array
  readonly fractions?: Float32Array
  readonly notes: readonly string[]
}

/** The bias in steps of the sum. */
function biasInSteps(
  value: Value | null | undefined,
  { channels, scale, input, scheme }: { channels: number; scale: ArrayLike<number>; input: Grid; scheme: Scheme },
): Steps | string {
  if (!value) return { whole: new Float64Array(channels), notes: [] }
  const codes = codesOf(value)
  const step = (c: number): number => Math.fround(input.scale * (scale[scale.length > 1 ? c : 0] as number))
  const real = scheme.bias === 'real' ? realBias(value, codes) : undefined
  if (real) {
    const fractions = Float32Array.from({ length: channels }, (_, c) => at(real, c) / step(c))
    return { whole: new Float64Array(channels), fractions, notes: [] }
  }
  const stored = codes?.codes.constant
  if (codes && stored) {
    const whole = stored.numbers()
    // Codes of int32 are added as they are, whatever scale is stored; narrower ones are shifted to the sum's scale.
    const ratio = (c: number): number => (stored.dtype === 'int32' ? 1 : at(codes.scale, c) / step(c))
    const steps = Float64Array.from({ length: channels }, (_, c) => saturate(roundHalfEven(at(whole, c) * ratio(c))))
    return { whole: steps, notes: [] }
  }
  const given = value.constant?.numbers()
  if (!given) return 'its bias is computed while the model runs'
  const rounded = Float64Array.from({ length: channels }, (_, c) => saturate(roundHalfEven(at(given, c) / step(c))))
  return { whole: rounded, notes: ['its bias is float in the file; it was rounded to int32 on the scale of the sum'] }
}

const saturate = (v: number): number => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, v))

const at = (values: ArrayLike<number>, c: number): number => values[values.length > 1 ? c : 0] as number

/** A bias as the float number that it was, as far as the file tells. */
function realBias(value: Value, codes: Codes | undefined): ArrayLike<number> | undefined {
  const stored = codes?.codes.constant?.numbers()
  if (!codes || !stored) return value.constant?.numbers()
  return Float32Array.from(stored, (v, c) => v * at(codes.scale, c))
}

/** The weight of a Conv [out, in / group, …], or of a ConvTranspose [in, out / group, …] turned into one. */
export function convLayout(node: Node, dims: readonly number[]): WeightLayout {
  const terms = dims.slice(1).reduce((n, d) => n * d, 1)
  const area = dims.slice(2).reduce((n, d) => n * d, 1)
  if (node.opType === 'Conv') return { channels: dims[0] as number, terms, area, at: (c, k) => c * terms + k, axis: 0 }
  const group = intAttribute(node, 'group', 1)
  const [inputs, perGroup] = [(dims[0] as number) / group, dims[1] as number]
  const at = (channel: number, term: number): number => {
    const [input, place] = [Math.floor(term / area), term % area]
    const [g, c] = [Math.floor(channel / perGroup), channel % perGroup]
    return ((g * inputs + input) * perGroup + c) * area + (area - 1 - place)
  }
  return { channels: perGroup * group, terms: inputs * area, area, at, axis: 1 }
}
