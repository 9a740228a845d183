import { create } from '@bufbuild/protobuf'
import {
  type GraphProto,
  type ModelProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from 'onnx-buf'
import { dtypeFromOnnx, problem } from '../util/index.ts'
import { locationProblem } from './external.ts'
import { type ByteSink, copyTensor, type TensorSource } from './source.ts'
import { tensorSource } from './tensor-data.ts'

export interface ExternalDataOptions {
  /** Name of the data file, relative to the model's folder. */
  location: string
  sink: ByteSink
  /** Initializers of at least this many bytes move out; 1024 as in onnx's own tool. */
  threshold?: number
}

/** onnx.proto asks for multiples of the page size, so that runtimes can map the file. */
const ALIGNMENT = 4096
const DEFAULT_THRESHOLD = 1024

interface MovedData {
  readonly substitutes: ReadonlyMap<TensorProto, TensorProto>
  /** Sends the data, zero-padded to each offset. */
  write(): void
}

/**
 * Assigns every large initializer, those of subgraphs included, a place in the data file.
 * Attributes keep their tensors: runtimes read those from the model only.
 */
export function moveDataOut(model: ModelProto, options: ExternalDataOptions): MovedData {
  const { location, sink, threshold = DEFAULT_THRESHOLD } = options
  const reason = locationProblem(location)
  if (reason) throw problem('ONNX_EXTERNAL_PATH', `the external data location ${JSON.stringify(location)} ${reason}`)
  const substitutes = new Map<TensorProto, TensorProto>()
  const placed: { source: TensorSource; offset: number }[] = []
  let end = 0
  for (const tensor of initializers(model)) {
    if (substitutes.has(tensor) || dtypeFromOnnx(tensor.dataType) === 'string') continue
    const source = tensorSource(tensor)
    if (source.byteLength < threshold) continue
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT
    end = offset + source.byteLength
    placed.push({ source, offset })
    substitutes.set(tensor, reference(tensor, location, offset, source.byteLength))
  }
  return { substitutes, write: () => writePadded(placed, sink) }
}

function writePadded(placed: readonly { source: TensorSource; offset: number }[], sink: ByteSink): void {
  const padding = new Uint8Array(ALIGNMENT)
  let position = 0
  for (const { source, offset } of placed) {
    if (offset > position) sink.write(padding.subarray(0, offset - position))
    copyTensor(source, sink)
    position = offset + source.byteLength
  }
}

/** The tensor without data, pointing into the data file. */
function reference(tensor: TensorProto, location: string, offset: number, length: number): TensorProto {
  const entries = { location, offset: String(offset), length: String(length) }
  const { dims, dataType, metadataProps } = tensor
  const copy = create(TensorProtoSchema, { dims, dataType, metadataProps })
  if (Object.hasOwn(tensor, 'name')) copy.name = tensor.name
  if (Object.hasOwn(tensor, 'docString')) copy.docString = tensor.docString
  if (tensor.$unknown) copy.$unknown = tensor.$unknown
  copy.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  )
  copy.dataLocation = TensorProto_DataLocation.EXTERNAL
  return copy
}

function* initializers(model: ModelProto): IterableIterator<TensorProto> {
  if (model.graph) yield* graphInitializers(model.graph)
}

function* graphInitializers(graph: GraphProto): IterableIterator<TensorProto> {
  yield* graph.initializer
  for (const node of graph.node) {
    for (const attribute of node.attribute) {
      if (attribute.g) yield* graphInitializers(attribute.g)
      for (const nested of attribute.graphs) yield* graphInitializers(nested)
    }
  }
}
