import { asTensor, type Node, Tensor } from '../../ir/index.ts'
import { bytesOf, type DType, dtypeInfo, integerRange } from '../../util/index.ts'
import { CODE_RANGE, type CodeRange } from './pairs-from-nodes.ts'
import type { Grid } from './scheme.ts'

/** Codes, one element each: sub-byte codes are not packed. */
export type CodeArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array

/** A tensor in whole numbers, row-major. */
export interface CodeTensor {
  readonly dims: readonly number[]
  readonly codes: CodeArray
  readonly dtype: DType
}

const ARRAYS: Partial<Record<DType, new (length: number) => CodeArray>> = {
  int2: Int8Array,
  uint2: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
}

/** Types whose sums of products run on 16-bit operands. */
export const isCodeType = (dtype: DType): boolean => dtype !== 'int32' && ARRAYS[dtype] !== undefined

export const sizeOf = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

export function newCodes(dtype: DType, length: number): CodeArray {
  return new (ARRAYS[dtype] ?? Int32Array)(length)
}

export function codesOfTensor(tensor: Tensor): CodeTensor {
  const { dtype, dims } = tensor
  const plain = dtypeInfo(dtype).bits >= 8
  // A copy: what a model's bytes view must not be written to, and may be longer.
  const codes = newCodes(dtype, tensor.size)
  codes.set(plain ? (tensor.storage() as CodeArray).subarray(0, tensor.size) : tensor.numbers())
  return { dims, codes, dtype }
}

export function tensorOfCodes({ dims, codes, dtype }: CodeTensor): Tensor {
  if (dtypeInfo(dtype).bits < 8) return Tensor.fromNumbers(dtype, dims, codes)
  return Tensor.fromBytes(dtype, dims, bytesOf(codes))
}

/**
 * What one QuantizeLinear or DequantizeLinear says of its codes.
 * @returns undefined where the parameters are computed, or there is more than one scale.
 */
export function gridOf(node: Node): Grid | undefined {
  const [data, scale, zero] = node.inputs
  if (scale?.constant?.size !== 1 || scale.constant.dtype !== 'float32' || (zero && !zero.constant)) return undefined
  const codes = node.opType === 'DequantizeLinear' ? data : node.outputs[0]
  const dtype = zero?.constant?.dtype ?? codes?.constant?.dtype ?? asTensor(codes?.type)?.dtype ?? 'uint8'
  const range = integerRange(dtype)
  if (!range || !isCodeType(dtype)) return undefined
  const zeroPoint = zero?.constant?.numbers()[0] ?? 0
  const narrower = node.meta.get(CODE_RANGE) as CodeRange | undefined
  return { dtype, scale: scale.constant.numbers()[0] as number, zeroPoint, ...(narrower ?? range) }
}

export const sameGrid = (a: Grid, b: Grid): boolean =>
  a.dtype === b.dtype && a.scale === b.scale && a.zeroPoint === b.zeroPoint
