import type { DescMessage, Message } from '@bufbuild/protobuf'
import { type TensorProto, TensorProtoSchema } from 'onnx-buf'
import { must } from '../util/index.ts'
import { type Field, fieldsOf, WIRE, WIRE_OF } from './fields.ts'
import { payloadOf } from './payload.ts'
import { lengthSize, type Scalar, scalarSize, writeLength, writeScalar } from './scalar-writer.ts'
import { copyTensor, type TensorSource } from './source.ts'
import { varintSize } from './varints.ts'
import type { Writer } from './writer.ts'

type Value = Scalar | Message

/** Messages to write in place of others: those whose data go to an external file. */
export type Substitutes = ReadonlyMap<TensorProto, TensorProto>

/**
 * Protobuf wants a message's length before its bytes. Two walks give that without buffering a whole model: `size` finds
 * and remembers the lengths, `write` sends the bytes, tensors straight from where they lie.
 */
export class MessageWriter {
  readonly #substitutes: Substitutes
  readonly #sizes = new Map<Message, number>()

  constructor(substitutes: Substitutes = new Map()) {
    this.#substitutes = substitutes
  }

  size(desc: DescMessage, message: Message): number {
    let size = 0
    for (const field of fieldsOf(desc).values()) {
      size += this.#fieldSize(field, valuesOf(message, field))
      for (const segment of segmentsOf(message, field)) size += blockSize(field, segment.byteLength)
    }
    for (const { no, wireType, data } of message.$unknown ?? []) size += tagSize(no, wireType) + data.byteLength
    this.#sizes.set(message, size)
    return size
  }

  /** Writes a message after `size` has seen it. */
  write(desc: DescMessage, message: Message, out: Writer): void {
    for (const field of fieldsOf(desc).values()) {
      this.#writeField(field, valuesOf(message, field), out)
      for (const segment of segmentsOf(message, field)) writeSegment(field, segment, out)
    }
    for (const { no, wireType, data } of message.$unknown ?? []) {
      out.varint(tagOf(no, wireType))
      out.write(data)
    }
  }

  #fieldSize(field: Field, values: readonly Value[]): number {
    if (values.length === 0) return 0
    if (field.packed) return blockSize(field, this.#contentSize(field, values))
    return values.length * tagSize(field.number, WIRE_OF[field.kind]) + this.#contentSize(field, values)
  }

  #contentSize(field: Field, values: readonly Value[]): number {
    let size = 0
    for (const value of values) {
      size += field.message
        ? this.#nestedSize(field.message, value as Message)
        : scalarSize(field.kind, value as Scalar)
    }
    return size
  }

  #nestedSize(desc: DescMessage, message: Message): number {
    const size = this.size(desc, this.#substitute(message))
    return lengthSize(size) + size
  }

  #writeField(field: Field, values: readonly Value[], out: Writer): void {
    if (values.length === 0) return
    if (field.packed) {
      out.varint(tagOf(field.number, WIRE.bytes))
      writeLength(this.#contentSize(field, values), out)
    }
    for (const value of values) {
      if (!field.packed) out.varint(tagOf(field.number, WIRE_OF[field.kind]))
      if (field.message) this.#writeNested(field.message, this.#substitute(value as Message), out)
      else writeScalar(field.kind, value as Scalar, out)
    }
  }

  #writeNested(desc: DescMessage, message: Message, out: Writer): void {
    writeLength(must(this.#sizes.get(message), 'size of a message'), out)
    this.write(desc, message, out)
  }

  #substitute(message: Message): Message {
    return this.#substitutes.get(message as TensorProto) ?? message
  }
}

const NOTHING: readonly never[] = []

/** The values of a field that are set: proto2 tracks presence by own properties, oneofs by their case. */
function valuesOf(message: Message, field: Field): readonly Value[] {
  const slots = message as unknown as Record<string, unknown>
  if (field.list) return slots[field.name] as Value[]
  if (field.oneof !== undefined) {
    const member = slots[field.oneof] as { case?: string; value?: Value }
    return member.case === field.name ? [member.value as Value] : NOTHING
  }
  const value = slots[field.name] as Value | undefined
  return value !== undefined && Object.hasOwn(slots, field.name) ? [value] : NOTHING
}

function segmentsOf(message: Message, field: Field): readonly TensorSource[] {
  if (message.$typeName !== TensorProtoSchema.typeName) return NOTHING
  return payloadOf(message as TensorProto)?.segments.get(field.number) ?? NOTHING
}

function writeSegment(field: Field, segment: TensorSource, out: Writer): void {
  out.varint(tagOf(field.number, WIRE.bytes))
  writeLength(segment.byteLength, out)
  copyTensor(segment, out)
}

const tagOf = (number: number, wire: number): number => ((number << 3) | wire) >>> 0
const tagSize = (number: number, wire: number): number => varintSize(tagOf(number, wire), 0)
const blockSize = (field: Field, length: number): number =>
  tagSize(field.number, WIRE.bytes) + lengthSize(length) + length
