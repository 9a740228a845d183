import {
  type ByteSink,
  type ByteSource,
  bytesSource,
  type DecodeOptions,
  decodeModel,
  type EncodeOptions,
  encodedSize,
  encodeModel,
  encodeToBytes,
} from '../onnx/index.ts'
import { type FromOnnxOptions, modelFromOnnx } from './from-onnx.ts'
import type { Model } from './model.ts'
import { modelToOnnx } from './to-onnx.ts'

export interface ReadOptions extends DecodeOptions, FromOnnxOptions {}

/**
 * Reads a model; tensors stay in the source until they are looked at, so the source must stay readable.
 * @throws FewbitError ONNX_* for anything that is not a sound ONNX file.
 */
export function readModel(source: ByteSource | Uint8Array, options: ReadOptions = {}): Model {
  return modelFromOnnx(decodeModel(source instanceof Uint8Array ? bytesSource(source) : source, options), options)
}

/** Writes a model to a sink in one sweep; memory stays near the largest tensor. */
export function writeModel(model: Model, sink: ByteSink, options: EncodeOptions = {}): void {
  encodeModel(modelToOnnx(model), sink, options)
}

/** A model as bytes, for models that fit in memory: sessions, tests, probes. */
export const serializeModel = (model: Model): Uint8Array => encodeToBytes(modelToOnnx(model))

/** Bytes that the model takes as one file, without writing it. */
export const modelBytes = (model: Model): number => encodedSize(modelToOnnx(model))
