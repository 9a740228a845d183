import { Tensor } from '../ir/index.ts'
import { byteLength, concatBytes, must } from '../util/index.ts'
import type { Feeds } from './engine.ts'

/** Joins feeds of equal shapes along axis 0. */
export function collate(parts: readonly Feeds[]): Feeds {
  const first = must(parts[0], 'first part of a batch')
  if (parts.length === 1) return first
  return Object.fromEntries(
    Object.keys(first).map((name) => [name, concat(parts.map((feeds) => must(feeds[name], `feed ${name}`)))]),
  )
}

function concat(tensors: readonly Tensor[]): Tensor {
  const { dtype, dims } = must(tensors[0], 'tensor')
  const rows = tensors.reduce((n, tensor) => n + must(tensor.dims[0], 'batch axis'), 0)
  const joined = [rows, ...dims.slice(1)]
  if (dtype === 'string')
    return Tensor.strings(
      joined,
      tensors.flatMap((tensor) => [...tensor.stringBytes()]),
    )
  return Tensor.fromBytes(dtype, joined, concatBytes(tensors.map((tensor) => tensor.bytes())))
}

/** Rows `[from, to)` of a tensor along axis 0, as a view. */
export function rows(tensor: Tensor, from: number, to: number): Tensor {
  const dims = [to - from, ...tensor.dims.slice(1)]
  const stride = tensor.dims.slice(1).reduce((n, d) => n * d, 1)
  if (tensor.dtype === 'string') return Tensor.strings(dims, tensor.stringBytes().slice(from * stride, to * stride))
  const bytes = byteLength(tensor.dtype, stride)
  return Tensor.fromBytes(tensor.dtype, dims, tensor.bytes().subarray(from * bytes, to * bytes))
}
