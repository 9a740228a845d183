import { create } from '@bufbuild/protobuf'
import {
  type TensorShapeProto,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  type TypeProto,
  TypeProto_MapSchema,
  TypeProto_OptionalSchema,
  TypeProto_SequenceSchema,
  TypeProto_SparseTensorSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
} from 'onnx-buf'
import { dtypeFromOnnx, dtypeToOnnx } from '../util/index.ts'
import type { Dim, Shape, TensorType, ValueType } from './types.ts'

/** The type that a file declares, or undefined where it declares none or one with an unknown element type. */
export function typeFromProto(proto: TypeProto | undefined): ValueType | undefined {
  const type = proto && withoutDenotation(proto)
  return type && proto.denotation !== '' ? { ...type, denotation: proto.denotation } : type
}

function withoutDenotation({ value }: TypeProto): ValueType | undefined {
  switch (value.case) {
    case 'tensorType':
      return tensorFrom('tensor', value.value.elemType, value.value.shape)
    case 'sparseTensorType':
      return tensorFrom('sparse-tensor', value.value.elemType, value.value.shape)
    case 'sequenceType':
      return { kind: 'sequence', element: typeFromProto(value.value.elemType) }
    case 'optionalType':
      return { kind: 'optional', element: typeFromProto(value.value.elemType) }
    case 'mapType': {
      const key = dtypeFromOnnx(value.value.keyType)
      return key && { kind: 'map', key, value: typeFromProto(value.value.valueType) }
    }
    case undefined:
      return undefined
  }
}

function tensorFrom(
  kind: TensorType['kind'],
  code: number,
  shape: TensorShapeProto | undefined,
): ValueType | undefined {
  const dtype = dtypeFromOnnx(code)
  return dtype && { kind, dtype, shape: shape && shapeFromProto(shape) }
}

const shapeFromProto = (proto: TensorShapeProto): Shape =>
  proto.dim.map(({ value }): Dim => {
    if (value.case === 'dimParam') return value.value === '' ? null : value.value
    // Some exporters write -1 for an open dimension.
    return value.case === 'dimValue' && value.value >= 0n ? Number(value.value) : null
  })

export function typeToProto(type: ValueType): TypeProto {
  const proto = create(TypeProtoSchema, { value: bodyOf(type) })
  if (type.denotation) proto.denotation = type.denotation
  return proto
}

function bodyOf(type: ValueType): TypeProto['value'] {
  switch (type.kind) {
    case 'tensor':
      return { case: 'tensorType', value: create(TypeProto_TensorSchema, tensorBody(type)) }
    case 'sparse-tensor':
      return { case: 'sparseTensorType', value: create(TypeProto_SparseTensorSchema, tensorBody(type)) }
    case 'sequence':
      return { case: 'sequenceType', value: create(TypeProto_SequenceSchema, elementBody(type.element)) }
    case 'optional':
      return { case: 'optionalType', value: create(TypeProto_OptionalSchema, elementBody(type.element)) }
    case 'map': {
      const value = type.value ? { valueType: typeToProto(type.value) } : {}
      return { case: 'mapType', value: create(TypeProto_MapSchema, { keyType: dtypeToOnnx(type.key), ...value }) }
    }
  }
}

const tensorBody = ({ dtype, shape }: TensorType) => ({
  elemType: dtypeToOnnx(dtype),
  ...(shape ? { shape: create(TensorShapeProtoSchema, { dim: shape.map(dimensionToProto) }) } : {}),
})

const elementBody = (element: ValueType | undefined) => (element ? { elemType: typeToProto(element) } : {})

function dimensionToProto(dim: Dim) {
  if (dim === null) return create(TensorShapeProto_DimensionSchema)
  const value =
    typeof dim === 'number'
      ? { case: 'dimValue' as const, value: BigInt(dim) }
      : { case: 'dimParam' as const, value: dim }
  return create(TensorShapeProto_DimensionSchema, { value })
}
