/**
 * Sub-byte elements as ONNX packs them: the first element in the lowest bits, the last byte padded with zeros
 * (onnx.proto, `TensorProto.raw_data`).
 */

/** The lowest `bits` (2 or 4) of each element, packed. */
export function packBits(elements: ArrayLike<number>, bits: number): Uint8Array {
  const perByte = 8 / bits
  const mask = (1 << bits) - 1
  const packed = new Uint8Array(Math.ceil(elements.length / perByte))
  for (let i = 0; i < elements.length; i++) {
    const at = Math.floor(i / perByte)
    packed[at] = (packed[at] as number) | (((elements[i] as number) & mask) << ((i % perByte) * bits))
  }
  return packed
}

/** `count` unsigned elements of `bits` (2 or 4) bits. */
export function unpackBits(packed: Uint8Array, bits: number, count: number): Uint8Array {
  const perByte = 8 / bits
  const mask = (1 << bits) - 1
  const elements = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    elements[i] = ((packed[Math.floor(i / perByte)] as number) >> ((i % perByte) * bits)) & mask
  }
  return elements
}

/** Reads the lowest `bits` of each element as two's complement. */
export function signExtend(elements: Uint8Array, bits: number): Int8Array {
  const shift = 32 - bits
  return Int8Array.from(elements, (element) => (element << shift) >> shift)
}
