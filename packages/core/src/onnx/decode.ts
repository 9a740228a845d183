import { create, type DescMessage, type Message } from '@bufbuild/protobuf'
import { type ModelProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from 'onnx-buf'
import { decodeUtf8, type Place, problem } from '../util/index.ts'
import { Cursor } from './cursor.ts'
import { type Field, fieldsOf, type ScalarKind, WIRE, WIRE_OF } from './fields.ts'
import { type FileContext, type OpenExternal, payloadOf, RAW_DATA, setPayload } from './payload.ts'
import { readScalar } from './scalars.ts'
import { type ByteSource, fileRange } from './source.ts'

export interface DecodeOptions {
  /** Opens external data, for example `openExternalFrom(path)` of `@fewbit/engine-node`. */
  openExternal?: OpenExternal
  /** Name for diagnostics. */
  file?: string
}

/** Tensor data of at least this many bytes stay in the file until they are asked for. */
const DEFER_FROM = 4096
/** Nesting of messages, as in the C++ and Java protobuf libraries; a subgraph takes three levels. */
const MAX_DEPTH = 100
/** Estimated bytes of message objects. A two-byte empty node becomes an object of hundreds of bytes: refuse such bombs. */
const MAX_HEAP = 2 ** 30
const COST = { message: 400, element: 40, unknown: 120 }
/** `TensorProto` fields whose length-delimited form can be left in the file. */
const DEFERRABLE = new Set([4, 5, 7, RAW_DATA, 10, 11])

type Slots = Record<string, unknown>

/**
 * Decodes a model without loading its weights: large tensor data stay ranges of `source`, reached by `tensorSource`.
 * Unknown fields are kept. Unlike protobuf-es's own decoder, this one checks wire types, keeps nested messages within
 * their parents and bounds what hostile bytes can make it allocate.
 * @throws FewbitError ONNX_* with the byte and the path of the field.
 */
export function decodeModel(source: ByteSource, options: DecodeOptions = {}): ModelProto {
  const at = options.file === undefined ? {} : { file: options.file }
  if (source.size === 0) throw problem('ONNX_EMPTY', 'the file is empty', { at, fix: 'copy or export the model again' })
  if (isLfsPointer(source)) {
    const fix = 'fetch the model itself with `git lfs pull`'
    throw problem('ONNX_LFS_POINTER', 'the file only points to a model that Git LFS keeps', { at, fix })
  }
  const model = decodeRoot(source, options)
  if (model.graph) return model
  throw problem('ONNX_NO_GRAPH', 'the bytes hold no ONNX graph', { at, fix: 'check that the file is an ONNX model' })
}

function decodeRoot(source: ByteSource, options: DecodeOptions): ModelProto {
  try {
    return new Decoder(source, options).message(ModelProtoSchema, source.size) as ModelProto
  } catch (error) {
    if (!isText(source)) throw error
    const at = options.file === undefined ? {} : { file: options.file }
    const fix = 'name the .onnx file; a download may have brought a web page in its place'
    throw problem('ONNX_TEXT', 'the file is text, not an ONNX model', { at, fix }, error)
  }
}

/** True if the file starts like a web page, a program or a list: printable ASCII and line ends. */
const isText = (source: ByteSource): boolean =>
  source.read(0, Math.min(256, source.size)).every((b) => (b >= 32 && b < 127) || b === 9 || b === 10 || b === 13)

const LFS_HEAD = 'version https://git-lfs'

/** What a clone without Git LFS has in place of a model. */
const isLfsPointer = (source: ByteSource): boolean =>
  decodeUtf8(source.read(0, Math.min(LFS_HEAD.length, source.size))) === LFS_HEAD

/** Decodes a tensor that stands alone in a file, as in ONNX's test data. @throws FewbitError ONNX_*. */
export function decodeTensor(source: ByteSource, options: DecodeOptions = {}): TensorProto {
  return new Decoder(source, options).message(TensorProtoSchema, source.size) as TensorProto
}

class Decoder {
  readonly #cursor: Cursor
  readonly #context: FileContext
  readonly #path: string[] = []
  #heap = 0
  #depth = 0

  constructor(source: ByteSource, options: DecodeOptions) {
    this.#context = { file: options.file, openExternal: options.openExternal }
    this.#cursor = new Cursor(source, () => this.#place())
  }

  /** Reads one message up to `end`, into `target` where the field occurred before (protobuf merges them). */
  message(desc: DescMessage, end: number, target?: Message): Message {
    const cursor = this.#cursor
    const outer = cursor.limit
    this.#descend()
    if (!target) this.#spend(COST.message)
    const message = target ?? create(desc)
    const fields = fieldsOf(desc)
    cursor.limit = end
    while (cursor.position < end) {
      const tag = cursor.tag()
      const field = fields.get(tag.number)
      if (field) this.#field(message, field, tag.wire)
      else this.#unknown(message, tag.number, tag.wire)
    }
    cursor.limit = outer
    this.#depth--
    if (desc === TensorProtoSchema) this.#rememberContext(message as TensorProto)
    return message
  }

  #field(message: Message, field: Field, wire: number): void {
    const depth = this.#path.push(field.name)
    const packed = field.list && wire === WIRE.bytes && WIRE_OF[field.kind] !== WIRE.bytes
    if (!packed && wire !== WIRE_OF[field.kind]) throw this.#cursor.fail('ONNX_WIRE_TYPE', wireMessage(field, wire))
    if (DEFERRABLE.has(field.number) && message.$typeName === TensorProtoSchema.typeName) {
      this.#tensorData(message as TensorProto, field, packed)
    } else if (packed) this.#packed(message, field)
    else this.#single(message, field)
    this.#path.length = depth - 1
  }

  #single(message: Message, field: Field): void {
    const slots = message as unknown as Slots
    const start = this.#cursor.position
    if (field.list) {
      const list = slots[field.name] as unknown[]
      this.#path[this.#path.length - 1] = `${field.name}[${list.length}]`
      this.#spend(COST.element)
      list.push(this.#value(field, undefined))
    } else if (field.oneof !== undefined) {
      const current = slots[field.oneof] as { case?: string; value?: Message }
      const value = this.#value(field, current.case === field.name ? current.value : undefined)
      slots[field.oneof] = { case: field.name, value }
    } else {
      const value = this.#value(field, slots[field.name] as Message | undefined)
      if (field.enumNumbers?.has(value as number) === false) this.#keep(message, field.number, WIRE.varint, start)
      else slots[field.name] = value
    }
  }

  #value(field: Field, current: Message | undefined): unknown {
    if (field.kind !== 'message') return readScalar(this.#cursor, field.kind)
    const length = this.#cursor.length()
    return this.message(field.message as DescMessage, this.#cursor.position + length, current)
  }

  #packed(message: Message, field: Field): void {
    const cursor = this.#cursor
    const list = (message as unknown as Slots)[field.name] as unknown[]
    const outer = cursor.limit
    const length = cursor.length()
    const end = cursor.position + length
    cursor.limit = end
    while (cursor.position < end) {
      this.#spend(COST.element)
      list.push(readScalar(cursor, field.kind as ScalarKind))
    }
    cursor.limit = outer
  }

  /** Large data stay in the file, and so does all of a field that follows them, to keep the elements in order. */
  #tensorData(tensor: TensorProto, field: Field, packed: boolean): void {
    const cursor = this.#cursor
    const start = cursor.position
    if (field.number === RAW_DATA) dropRawData(tensor)
    const delimited = packed || field.number === RAW_DATA
    const length = delimited ? cursor.length() : 0
    const payloadStart = cursor.position
    if (length < DEFER_FROM && !payloadOf(tensor)?.segments.has(field.number)) {
      cursor.position = start
      if (packed) this.#packed(tensor, field)
      else this.#single(tensor, field)
      return
    }
    if (delimited) cursor.skip(length)
    else readScalar(cursor, field.kind as ScalarKind)
    this.#defer(tensor, field.number, payloadStart)
  }

  #defer(tensor: TensorProto, number: number, start: number): void {
    this.#spend(COST.unknown)
    const payload = payloadOf(tensor) ?? { segments: new Map(), context: this.#context }
    const segments = payload.segments.get(number) ?? []
    segments.push(fileRange(this.#cursor.source, start, this.#cursor.position - start))
    payload.segments.set(number, segments)
    setPayload(tensor, payload)
  }

  #rememberContext(tensor: TensorProto): void {
    if (tensor.externalData.length === 0 || payloadOf(tensor)) return
    setPayload(tensor, { segments: new Map(), context: this.#context })
  }

  #unknown(message: Message, number: number, wire: number): void {
    const start = this.#cursor.position
    this.#skip(number, wire)
    this.#keep(message, number, wire, start)
  }

  /** Keeps the bytes since `start` as an unknown field. */
  #keep(message: Message, number: number, wire: number, start: number): void {
    const cursor = this.#cursor
    const length = cursor.position - start
    this.#spend(COST.unknown)
    cursor.position = start
    message.$unknown ??= []
    message.$unknown.push({ no: number, wireType: wire, data: cursor.bytes(length) })
  }

  #skip(number: number, wire: number): void {
    const cursor = this.#cursor
    if (wire === WIRE.varint) cursor.varint()
    else if (wire === WIRE.fixed64) cursor.skip(8)
    else if (wire === WIRE.fixed32) cursor.skip(4)
    else if (wire === WIRE.bytes) cursor.skip(cursor.length())
    else if (wire === WIRE.groupStart) this.#skipGroup(number)
    else throw cursor.fail('ONNX_TAG', `field ${number} has the wire type ${wire}, which cannot stand here`)
  }

  #skipGroup(number: number): void {
    this.#descend()
    for (;;) {
      const tag = this.#cursor.tag()
      if (tag.wire === WIRE.groupEnd && tag.number === number) break
      this.#skip(tag.number, tag.wire)
    }
    this.#depth--
  }

  #descend(): void {
    if (++this.#depth <= MAX_DEPTH) return
    throw this.#cursor.fail('ONNX_DEPTH', `messages are nested more than ${MAX_DEPTH} deep`)
  }

  #spend(bytes: number): void {
    this.#heap += bytes
    if (this.#heap <= MAX_HEAP) return
    throw this.#cursor.fail(
      'ONNX_TOO_COMPLEX',
      'the file holds more small records than fewbit is willing to keep in memory',
    )
  }

  #place(): Place {
    const { file } = this.#context
    return { ...(file !== undefined && { file }), field: this.#path.join('.') }
  }
}

const wireMessage = (field: Field, wire: number): string =>
  `the field has wire type ${wire} where ${WIRE_OF[field.kind]} belongs`

/** The last occurrence of a singular field wins. */
function dropRawData(tensor: TensorProto): void {
  payloadOf(tensor)?.segments.delete(RAW_DATA)
  Reflect.deleteProperty(tensor, 'rawData')
}
