import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { type ByteSource, bytesSource, decodeModel, encodeToBytes, proto, tensorSource } from './index.ts'

const { ModelProtoSchema } = proto
const data = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const models = `${data}/models`
const tarball = `${data}/onnx-backend-tests.tar.gz`

/** A source whose reads are copies, so that nothing depends on views of one buffer. */
const copyingSource = (bytes: Uint8Array): ByteSource => ({
  size: bytes.byteLength,
  read: (offset, length) => bytes.slice(offset, offset + length),
})

/** protobuf-es is the oracle: its own decoder and encoder share no code with ours. */
function expectRoundTrip(bytes: Uint8Array, name: string): void {
  const encoded = encodeToBytes(decodeModel(copyingSource(bytes)))
  const reference = fromBinary(ModelProtoSchema, bytes)
  expect(Buffer.compare(encoded, toBinary(ModelProtoSchema, reference)), name).toBe(0)
  expect(Buffer.compare(encodeToBytes(decodeModel(bytesSource(encoded))), encoded), name).toBe(0)
}

describe.skipIf(!existsSync(models))('real models', () => {
  test.each(existsSync(models) ? readdirSync(models).filter((file) => file.endsWith('.onnx')) : [])('%s', (file) => {
    const bytes = new Uint8Array(readFileSync(`${models}/${file}`))
    expectRoundTrip(bytes, file)
    const ours = decodeModel(bytesSource(bytes)).graph?.initializer ?? []
    const reference = fromBinary(ModelProtoSchema, bytes).graph?.initializer ?? []
    for (const [i, tensor] of ours.entries()) {
      const raw = reference[i]?.rawData ?? new Uint8Array()
      if (raw.byteLength > 0) expect(Buffer.compare(tensorSource(tensor).read(), raw), tensor.name).toBe(0)
    }
  })
})

/** Entries of a tar archive: a 512-byte head with name and octal size, then the content padded to 512 bytes. */
function* tarEntries(archive: Buffer): IterableIterator<{ name: string; content: Uint8Array }> {
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0; ) {
    const text = (from: number, length: number) => archive.toString('latin1', at + from, at + from + length)
    const size = Number.parseInt(text(124, 12), 8)
    yield {
      name: text(0, 100).replace(/\0.*$/s, ''),
      content: new Uint8Array(archive.subarray(at + 512, at + 512 + size)),
    }
    at += 512 + Math.ceil(size / 512) * 512
  }
}

describe.skipIf(!existsSync(tarball))('ONNX backend cases', () => {
  // Every ninth of some 1,900 keeps everyday tests fast; FEWBIT_ALL_CASES=1 takes them all.
  test('decode, encode, decode', () => {
    const step = process.env.FEWBIT_ALL_CASES ? 1 : 9
    const all = [...tarEntries(gunzipSync(readFileSync(tarball)))].filter(({ name }) => name.endsWith('.onnx'))
    expect(all.length).toBeGreaterThan(1500)
    for (const [i, { name, content }] of all.entries()) if (i % step === 0) expectRoundTrip(content, name)
  })
})
