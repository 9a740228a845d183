/** Samples of a 16-bit PCM WAV file, in -1..1. */
export function readWav(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let offset = 12
  for (;;) {
    const id = String.fromCharCode(...bytes.subarray(offset, offset + 4))
    const size = view.getUint32(offset + 4, true)
    if (id === 'data') {
      const count = Math.min(size, bytes.byteLength - offset - 8) >> 1
      return Float32Array.from({ length: count }, (_, i) => view.getInt16(offset + 8 + 2 * i, true) / 32768)
    }
    offset += 8 + size + (size & 1)
  }
}
