import { type Node, Tensor, type Value } from '../../ir/index.ts'
import { type DType, roundHalfEven } from '../../util/index.ts'

/** Integers with what they mean: x = (codes − zeroPoint) · scale. */
export interface Quantized {
  readonly codes: Value
  readonly scale: Value
  readonly zeroPoint: Value
  readonly dtype: DType
  /** Scale and zero point of each index along this axis; absent: one of each. */
  readonly axis?: number
}

/** The integers behind a value that comes out of a DequantizeLinear with constant 8-bit parameters and no blocks. */
export function dequantizedFrom(value: Value | null | undefined): Quantized | undefined {
  const node = value?.producer
  return node?.opType === 'DequantizeLinear' ? parametersOf(node, node.inputs[0]) : undefined
}

/** What a QuantizeLinear writes. */
export const quantizedBy = (node: Node): Quantized | undefined => parametersOf(node, node.outputs[0])

function parametersOf(node: Node, codes: Value | null | undefined): Quantized | undefined {
  const [, scale, zeroPoint] = node.inputs
  const dtype = zeroPoint?.constant?.dtype
  if (node.domain !== '' || !codes || !scale?.constant || !zeroPoint || !dtype) return undefined
  if (!isByte(dtype) || node.attributes.has('block_size')) return undefined
  if (scale.constant.dims.length === 0) return { codes, scale, zeroPoint, dtype }
  const axis = node.attributes.get('axis')
  return { codes, scale, zeroPoint, dtype, axis: axis?.kind === 'int' ? Number(axis.value) : 1 }
}

const isByte = (dtype: DType): boolean => dtype === 'uint8' || dtype === 'int8'

/** Whether two tensors have equal codes for equal values. */
export function sameParameters(a: Quantized, b: Quantized): boolean {
  return a.dtype === b.dtype && sameNumbers(a.scale, b.scale) && sameNumbers(a.zeroPoint, b.zeroPoint)
}

function sameNumbers(a: Value, b: Value): boolean {
  if (a === b) return true
  const [x, y] = [a.constant?.numbers() ?? [], b.constant?.numbers() ?? []]
  return x.length === y.length && Array.from(x).every((value, i) => value === y[i])
}

export const scaleOf = (q: Quantized): ArrayLike<number> => q.scale.constant?.numbers() ?? []

/** The zero point that all codes share; undefined where channels differ. */
export function onlyZeroPoint(q: Quantized): number | undefined {
  const all = new Set(Array.from(q.zeroPoint.constant?.numbers() ?? []))
  return all.size === 1 ? [...all][0] : undefined
}

/** The code of a real number, saturated: what QuantizeLinear makes of it. One scale only. */
export function codeOf(x: number, q: Quantized): number {
  const [lo, hi] = q.dtype === 'uint8' ? [0, 255] : [-128, 127]
  const steps = roundHalfEven(Math.fround(x / (scaleOf(q)[0] as number)))
  return Math.min(Math.max(steps + (onlyZeroPoint(q) ?? 0), lo), hi)
}

/** A constant's numbers, seen through a DequantizeLinear of a bias: zero point 0, channels on the last axis. */
function biasNumbers(value: Value): number[] | undefined {
  if (value.constant && !value.producer) return Array.from(value.constant.numbers())
  const [codes, scale, zeroPoint] = value.producer?.opType === 'DequantizeLinear' ? value.producer.inputs : []
  const scales = scale?.constant?.numbers()
  if (!codes?.constant || !scales || zeroPoint?.constant?.numbers().some((z) => z !== 0)) return undefined
  return Array.from(codes.constant.numbers(), (q, i) => q * (scales[i % scales.length] as number))
}

const INT32 = 2 ** 31

/**
 * A bias in the accumulator's codes, round(b / (scale(input) · scale(weight))): kernels add int32 codes and look at no stored scale.
 * Undefined where it is no constant, or leaves int32.
 */
export function accumulatorBias(value: Value, input: Quantized, weight: Quantized): Value | Tensor | undefined {
  const steps = productScales(input, weight)
  if (isOnGrid(value, steps)) return value.producer?.inputs[0] ?? undefined
  const numbers = biasNumbers(value)
  const codes = numbers?.map((b, i) => roundHalfEven(b / (steps[i % steps.length] as number)))
  if (!codes?.every((q) => q >= -INT32 && q < INT32)) return undefined
  return Tensor.fromNumbers('int32', [codes.length], codes)
}

/** scale(input) · scale(weight) in float32, one for each channel of the weight. */
function productScales(input: Quantized, weight: Quantized): number[] {
  const sx = scaleOf(input)[0] as number
  return Array.from(scaleOf(weight), (sw) => Math.fround(sx * sw))
}

function isOnGrid(value: Value, steps: readonly number[]): boolean {
  const [codes, scale] = value.producer?.opType === 'DequantizeLinear' ? value.producer.inputs : []
  const scales = scale?.constant?.numbers()
  return codes?.constant?.dtype === 'int32' && scales?.length === steps.length && steps.every((s, i) => s === scales[i])
}
