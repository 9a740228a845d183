import type { TypedArray } from '../util/index.ts'

/**
 * Unpacks a packed field of varints into `out` from index `start`, truncating each to the width of `out`.
 * Returns how many varints there are, which may be more than fitted; a last one without its end counts as one.
 */
export function unpackVarints(packed: Uint8Array, out: TypedArray, start: number): number {
  const wide = out.BYTES_PER_ELEMENT === 8
  const words = wide ? new Uint32Array(out.buffer, out.byteOffset, out.length * 2) : undefined
  let position = 0
  let index = start
  while (position < packed.length) {
    let low = 0
    let high = 0
    for (let shift = 0; position < packed.length; shift += 7) {
      const byte = packed[position++] as number
      const bits = byte & 0x7f
      if (shift <= 28) low |= bits << shift
      if (shift === 28) high = bits >>> 4
      else if (shift > 28 && shift < 64) high |= bits << (shift - 32)
      if (byte < 0x80) break
    }
    if (words && index < out.length) {
      words[2 * index] = low
      words[2 * index + 1] = high
    } else if (index < out.length) out[index] = low
    index++
  }
  return index - start
}

/** Writes a 64-bit number, given as two halves, as a varint; returns the position after it. */
export function writeVarint(buffer: Uint8Array, position: number, low: number, high: number): number {
  let at = position
  let l = low >>> 0
  let h = high >>> 0
  while (h !== 0 || l > 0x7f) {
    buffer[at++] = (l & 0x7f) | 0x80
    l = ((l >>> 7) | (h << 25)) >>> 0
    h >>>= 7
  }
  buffer[at++] = l
  return at
}

/** Bytes that `writeVarint` takes. */
export function varintSize(low: number, high: number): number {
  const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high)
  return Math.max(1, Math.ceil(bits / 7))
}
