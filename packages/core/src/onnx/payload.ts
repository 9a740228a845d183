import type { TensorProto } from 'onnx-buf'
import type { ByteSource, TensorSource } from './source.ts'

/** Opens the file that an external tensor names. The host checks links; the location itself has been checked. */
export type OpenExternal = (location: string) => ByteSource

/** What belongs to the file that a message came from. */
export interface FileContext {
  readonly file: string | undefined
  readonly openExternal: OpenExternal | undefined
}

/**
 * Data of a `TensorProto` that stay outside the message object: ranges of the file by field number, each one occurrence
 * of the field on the wire. They follow what the message object itself holds of that field.
 */
export interface Payload {
  readonly segments: Map<number, TensorSource[]>
  readonly context: FileContext
}

// Kept beside the messages rather than in them, so that they stay plain protobuf-es messages for every other tool.
const PAYLOADS = new WeakMap<TensorProto, Payload>()

export const payloadOf = (tensor: TensorProto): Payload | undefined => PAYLOADS.get(tensor)
export const setPayload = (tensor: TensorProto, payload: Payload): void => void PAYLOADS.set(tensor, payload)

const DATA_FIELDS = ['floatData', 'int32Data', 'int64Data', 'doubleData', 'uint64Data', 'externalData'] as const

/** Field number of `TensorProto.raw_data`. */
export const RAW_DATA = 9

/**
 * Makes `source` (in `raw_data` layout) the data of a tensor message, in place of any it had.
 * The encoder writes it as `raw_data`, or to the external file.
 */
export function setTensorSource(tensor: TensorProto, source: TensorSource): void {
  for (const name of DATA_FIELDS) tensor[name] = []
  for (const name of ['rawData', 'segment', 'dataLocation'] as const) Reflect.deleteProperty(tensor, name)
  setPayload(tensor, {
    segments: new Map([[RAW_DATA, [source]]]),
    context: { file: undefined, openExternal: undefined },
  })
}
