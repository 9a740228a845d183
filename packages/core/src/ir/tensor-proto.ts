import { create } from '@bufbuild/protobuf'
import { type SparseTensorProto, type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from 'onnx-buf'
import { setTensorSource, tensorDims, tensorDType, tensorSource, tensorStrings } from '../onnx/index.ts'
import { byteLength, dtypeInfo, dtypeToOnnx, problem } from '../util/index.ts'
import { rememberTensor, tensorRecord } from './file-records.ts'
import { Tensor } from './tensor.ts'

/** A tensor over a file's record; its bytes are read when asked for. */
export function tensorFromProto(proto: TensorProto): Tensor {
  const dtype = tensorDType(proto)
  const dims = tensorDims(proto)
  const tensor =
    dtype === 'string' ? Tensor.strings(dims, tensorStrings(proto)) : new Tensor(dtype, dims, tensorSource(proto))
  return rememberTensor(tensor, proto)
}

/**
 * The record of a tensor: the file's own where the tensor came from one under this name, a new one otherwise. A record whose
 * data lie in another file is never passed on: the model may be written to a folder where that file is not.
 */
export function tensorToProto(tensor: Tensor, name: string | undefined): TensorProto {
  const record = tensorRecord(tensor)
  const original = record?.$typeName === 'onnx.TensorProto' ? record : undefined
  const isWhole = original?.dataLocation !== TensorProto_DataLocation.EXTERNAL
  if (original && isWhole && (name === undefined || name === original.name)) return original
  const proto = create(TensorProtoSchema, {
    dataType: dtypeToOnnx(tensor.dtype),
    dims: tensor.dims.map(BigInt),
    metadataProps: original?.metadataProps ?? [],
  })
  if (name) proto.name = name
  if (original?.docString) proto.docString = original.docString
  if (original?.$unknown) proto.$unknown = original.$unknown
  if (tensor.dtype === 'string') proto.stringData = tensor.stringBytes() as Uint8Array<ArrayBuffer>[]
  else setTensorSource(proto, tensor.source)
  return proto
}

/** Most bytes that a sparse tensor may unfold to: hostile dims would ask for anything. */
const MAX_DENSE = 2 ** 31

/** A dense view of a sparse initializer, unfolded when its bytes are asked for. Written back as the sparse record. */
export function tensorFromSparse(proto: SparseTensorProto): Tensor {
  const name = proto.values?.name ?? ''
  if (!proto.values || !proto.indices) {
    throw problem('ONNX_SPARSE', `sparse tensor "${name}" lacks values or indices`, { at: { value: name } })
  }
  const values = tensorFromProto(proto.values)
  const indices = tensorFromProto(proto.indices)
  const dims = proto.dims.map(Number)
  const size = byteLength(
    values.dtype,
    dims.reduce((n, d) => n * d, 1),
  )
  if (!(size <= MAX_DENSE) || dtypeInfo(values.dtype).bits < 8) {
    throw problem('ONNX_SPARSE', `sparse tensor "${name}" is not supported at shape [${dims.join(', ')}]`, {
      at: { value: name },
    })
  }
  const read = () => unfold(values, indices, dims, size)
  return rememberTensor(new Tensor(values.dtype, dims, { byteLength: size, read }), proto)
}

/** Indices are either linear, shape [n], or coordinates, shape [n, rank] (onnx.proto3, SparseTensorProto). */
function unfold(values: Tensor, indices: Tensor, dims: readonly number[], size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  const source = values.bytes()
  const width = source.byteLength / Math.max(1, values.size)
  const index = Array.from(indices.storage(), Number)
  const stride = indices.dims.length === 2 ? dims.length : 1
  for (let i = 0; i < values.size; i++) {
    const at = index.slice(i * stride, (i + 1) * stride)
    const linear = stride === 1 ? (at[0] ?? 0) : at.reduce((sum, c, axis) => sum * (dims[axis] ?? 1) + c, 0)
    if (!(linear >= 0 && (linear + 1) * width <= size))
      throw problem('ONNX_SPARSE', `a sparse index is outside of [${dims.join(', ')}]`)
    bytes.set(source.subarray(i * width, (i + 1) * width), linear * width)
  }
  return bytes
}
