import type { Feeds } from '@fewbit/core/engine'
import { Tensor } from '@fewbit/core/ir'
import { type DType, decodeUtf8, encodeUtf8 } from '@fewbit/core/util'

/** A head in JSON and bytes behind it: how programs and pages hand each other models and tensors. */
export interface Message<H> {
  readonly head: H
  readonly body: Uint8Array
}

const LENGTH_BYTES = 4

export function encodeMessage(head: object, body: Uint8Array = new Uint8Array()): Uint8Array<ArrayBuffer> {
  const json = encodeUtf8(JSON.stringify(head))
  const bytes = new Uint8Array(LENGTH_BYTES + json.length + body.length)
  new DataView(bytes.buffer).setUint32(0, json.length)
  bytes.set(json, LENGTH_BYTES)
  bytes.set(body, LENGTH_BYTES + json.length)
  return bytes
}

export function decodeMessage<H>(bytes: Uint8Array): Message<H> {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  const end = LENGTH_BYTES + length
  return { head: JSON.parse(decodeUtf8(bytes.subarray(LENGTH_BYTES, end))) as H, body: bytes.subarray(end) }
}

/** Where each tensor stands in a body. */
export interface TensorHead {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly bytes: number
  /** Text, which stands in the head. */
  readonly strings?: readonly string[]
}

export function packTensors(tensors: Feeds): { heads: TensorHead[]; body: Uint8Array } {
  const parts = Object.entries(tensors).map(([name, tensor]) => {
    const strings = tensor.dtype === 'string' ? tensor.stringBytes().map(decodeUtf8) : undefined
    return { name, tensor, strings, bytes: strings ? new Uint8Array() : tensor.bytes() }
  })
  const body = new Uint8Array(parts.reduce((n, part) => n + part.bytes.length, 0))
  let at = 0
  const heads = parts.map(({ name, tensor: { dtype, dims }, bytes, strings }) => {
    body.set(bytes, at)
    at += bytes.length
    return { name, dtype, dims, bytes: bytes.length, ...(strings && { strings }) }
  })
  return { heads, body }
}

export function unpackTensors(heads: readonly TensorHead[], body: Uint8Array): Feeds {
  let at = 0
  return Object.fromEntries(
    heads.map(({ name, dtype, dims, bytes, strings }) => {
      at += bytes
      if (strings) return [name, Tensor.strings(dims, strings.map(encodeUtf8))]
      return [name, Tensor.fromBytes(dtype, dims, body.slice(at - bytes, at))]
    }),
  )
}
