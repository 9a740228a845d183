import type { Message } from '@bufbuild/protobuf'
import type {
  AttributeProto,
  DeviceConfigurationProto,
  NodeDeviceConfigurationProto,
  SparseTensorProto,
  TensorAnnotation,
  TensorProto,
  TrainingInfoProto,
  ValueInfoProto,
} from 'onnx-buf'
import type { Attribute } from './attribute.ts'
import type { Tensor } from './tensor.ts'

/**
 * What the IR carries of a file without reading it. Two rules keep a round trip lossless: immutable objects (tensors,
 * attributes) that came from a file are written back as the very record that they were read from; objects that can change
 * keep the rest of their record in `opaque`.
 */

type Unknown = Message['$unknown']

export interface NodeRecord {
  readonly unknown: Unknown
  readonly deviceConfigurations: readonly NodeDeviceConfigurationProto[]
}

export interface GraphRecord {
  readonly unknown: Unknown
  /** Type entries and annotations for names that the graph does not define. */
  readonly strayTypes: readonly ValueInfoProto[]
  readonly strayAnnotations: readonly TensorAnnotation[]
}

export interface ModelRecord {
  readonly unknown: Unknown
  readonly trainingInfo: readonly TrainingInfoProto[]
  readonly configuration: readonly DeviceConfigurationProto[]
}

export interface FunctionRecord {
  readonly unknown: Unknown
}

// Beside the objects rather than in them: only the two halves of the bridge know that files exist.
const TENSORS = new WeakMap<Tensor, TensorProto | SparseTensorProto>()
const ATTRIBUTES = new WeakMap<Attribute, AttributeProto>()

export const tensorRecord = (tensor: Tensor): TensorProto | SparseTensorProto | undefined => TENSORS.get(tensor)
export const attributeRecord = (attribute: Attribute): AttributeProto | undefined => ATTRIBUTES.get(attribute)

export function rememberTensor(tensor: Tensor, record: TensorProto | SparseTensorProto): Tensor {
  TENSORS.set(tensor, record)
  return tensor
}

export function rememberAttribute(attribute: Attribute, record: AttributeProto): Attribute {
  ATTRIBUTES.set(attribute, record)
  return attribute
}
