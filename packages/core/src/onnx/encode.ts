import { type ModelProto, ModelProtoSchema } from 'onnx-buf'
import { problem } from '../util/index.ts'
import { type ExternalDataOptions, moveDataOut } from './external-out.ts'
import { MessageWriter } from './message-writer.ts'
import type { ByteSink } from './source.ts'
import { Writer } from './writer.ts'

export interface EncodeOptions {
  /** Puts the data of large initializers into a second file. */
  externalData?: ExternalDataOptions
}

/** Largest message that protobuf libraries, and so ONNX Runtime, read. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1

/** Bytes that `encodeModel` writes to its sink without external data. */
export const encodedSize = (model: ModelProto): number => new MessageWriter().size(ModelProtoSchema, model)

/**
 * Writes a model, fields in number order and unknown fields last, byte for byte as protobuf does. Tensor data go from
 * their source to the sink in pieces, so memory does not grow with the model. The message is not changed.
 * @throws FewbitError ONNX_TOO_LARGE if the result exceeds 2 GiB, before anything is written.
 */
export function encodeModel(model: ModelProto, sink: ByteSink, options: EncodeOptions = {}): void {
  const moved = options.externalData && moveDataOut(model, options.externalData)
  const writer = new MessageWriter(moved?.substitutes)
  const size = writer.size(ModelProtoSchema, model)
  if (size > MAX_MODEL_BYTES) throw tooLarge(size)
  const out = new Writer(sink)
  writer.write(ModelProtoSchema, model, out)
  out.flush()
  moved?.write()
}

/** The model as one array: for engines and small models. @throws FewbitError ONNX_TOO_LARGE. */
export function encodeToBytes(model: ModelProto): Uint8Array<ArrayBuffer> {
  const size = encodedSize(model)
  if (size > MAX_MODEL_BYTES) throw tooLarge(size)
  const bytes = new Uint8Array(size)
  let position = 0
  encodeModel(model, {
    write(chunk) {
      bytes.set(chunk, position)
      position += chunk.byteLength
    },
  })
  return bytes
}

const tooLarge = (size: number): Error =>
  problem('ONNX_TOO_LARGE', `the model takes ${size} bytes, and ONNX files end at 2 GiB`, {
    fix: 'save it with external data, which puts the weights into a second file',
  })
