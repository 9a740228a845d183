import { encodeUtf8, invariant } from '../util/index.ts'
import type { Field } from './fields.ts'
import { varintSize } from './varints.ts'
import type { Writer } from './writer.ts'

export type Scalar = string | Uint8Array | number | bigint

const WORD = 2 ** 32

export const lengthSize = (length: number): number => varintSize(length >>> 0, Math.floor(length / WORD))

export function writeLength(length: number, out: Writer): void {
  out.varint(length >>> 0, Math.floor(length / WORD))
}

/** Bytes of one value without its tag; the length prefix of strings and bytes included. */
export function scalarSize(kind: Field['kind'], value: Scalar): number {
  switch (kind) {
    case 'float':
      return 4
    case 'double':
      return 8
    case 'string':
      return blockSize(utf8Length(value as string))
    case 'bytes':
      return blockSize((value as Uint8Array).byteLength)
    default:
      return varintSize(...halves(value as number | bigint))
  }
}

export function writeScalar(kind: Field['kind'], value: Scalar, out: Writer): void {
  if (kind === 'float') out.float(value as number)
  else if (kind === 'double') out.double(value as number)
  else if (kind === 'string') writeBlock(encodeUtf8(value as string), out)
  else if (kind === 'bytes') writeBlock(value as Uint8Array, out)
  else out.varint(...halves(value as number | bigint))
}

/** Two's complement in 64 bits, as protobuf wants negative int32 and int64 alike. */
function halves(value: number | bigint): [low: number, high: number] {
  if (typeof value === 'number') {
    invariant(Number.isSafeInteger(value), () => `${value} in an integer field`)
    return [value >>> 0, Math.floor(value / WORD) >>> 0]
  }
  const bits = BigInt.asUintN(64, value)
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)]
}

const blockSize = (length: number): number => lengthSize(length) + length

function writeBlock(bytes: Uint8Array, out: Writer): void {
  writeLength(bytes.byteLength, out)
  out.write(bytes)
}

/** Length of what `encodeUtf8` gives, where a lone surrogate becomes the three bytes of U+FFFD. */
function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    length++
    if (unit < 0x800) continue
    length++
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00
    // Two units, four bytes: one less than counted for the first, none more for the second.
    if (isPair) i++
  }
  return length
}
