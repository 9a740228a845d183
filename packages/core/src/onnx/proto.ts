/** The generated messages of onnx.proto, and the two protobuf-es functions that working with them takes. */
export { clone, create, equals, isFieldSet, type MessageInitShape } from '@bufbuild/protobuf'
export * from 'onnx-buf'
