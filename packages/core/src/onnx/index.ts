/**
 * The ONNX file format.
 *
 * - `decodeModel(source, options)`: a `ModelProto` whose large tensor data stay in the file.
 * - `encodeModel(model, sink, options)`, `encodeToBytes(model)`: streaming encoder, external data out.
 * - `tensorSource`, `tensorDType`, `tensorDims`, `tensorStrings`: what a `TensorProto` holds, wherever it holds it.
 * - `setTensorSource(tensor, source)`: gives a new `TensorProto` its data without copying them.
 * - `ByteSource`, `ByteSink`, `TensorSource`: what a host implements.
 *
 * Messages are those of protobuf-es; `proto` carries their schemas, `create` and `isFieldSet`.
 */
export * from './decode.ts'
export * from './encode.ts'
export { locationProblem } from './external.ts'
export type { ExternalDataOptions } from './external-out.ts'
export { type OpenExternal, setTensorSource } from './payload.ts'
export * as proto from './proto.ts'
export * from './source.ts'
export * from './tensor-data.ts'
