import { decodeUtf8 } from '../util/index.ts'
import type { Cursor } from './cursor.ts'
import type { ScalarKind } from './fields.ts'

/** Reads one scalar at the cursor: int64 and uint64 as bigint, bytes as a copy that may be kept. */
export function readScalar(cursor: Cursor, kind: ScalarKind): string | Uint8Array | number | bigint {
  if (kind === 'string') return decodeUtf8(cursor.view(cursor.length()))
  if (kind === 'bytes') return cursor.bytes(cursor.length())
  return readNumber(cursor, kind)
}

function readNumber(cursor: Cursor, kind: ScalarKind): number | bigint {
  if (kind === 'float') return dataView(cursor.view(4)).getFloat32(0, true)
  if (kind === 'double') return dataView(cursor.view(8)).getFloat64(0, true)
  cursor.varint()
  if (kind === 'int32') return cursor.low | 0
  const bits = (BigInt(cursor.high) << 32n) | BigInt(cursor.low)
  return kind === 'int64' ? BigInt.asIntN(64, bits) : bits
}

const dataView = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
