import { asTensor, type Model, type ValueType } from '../ir/index.ts'
import type { DType } from '../util/index.ts'

/**
 * Element types that may live inside a graph but never cross its boundary: fetching a 4-bit tensor aborts the whole process
 * in onnxruntime 1.30, and its JavaScript interface has no form for the others.
 */
const INTERNAL_ONLY: ReadonlySet<DType> = new Set<DType>([
  'int4',
  'uint4',
  'int2',
  'uint2',
  'float4e2m1',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'float8e8m0',
  'bfloat16',
  'complex64',
  'complex128',
])

export const isInternalOnly = (dtype: DType): boolean => INTERNAL_ONLY.has(dtype)

/** Names of the outputs that may not be fetched, by their types in the IR. An output without a type is not listed. */
export function unsupportedOutputs(model: Model): string[] {
  return model.graph.outputs.filter((value) => carriesInternal(value.type)).map((value) => value.name)
}

function carriesInternal(type: ValueType | undefined): boolean {
  const tensor = asTensor(type)
  return tensor !== undefined && isInternalOnly(tensor.dtype)
}
