import { Tensor } from '../ir/index.ts'
import { type ByteSink, type ByteSource, bytesSource, copyTensor, fileRange } from '../onnx/index.ts'
import { byteLength, concatBytes, type DType, decodeUtf8, dtypeInfo, encodeUtf8, problem } from '../util/index.ts'
import { badHeader, parseHeader, SAFETENSORS_DTYPES, type TensorRecord } from './safetensors-header.ts'

/** What a `.safetensors` file holds: tensors by name, in the order of the file's header, and free strings. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: Readonly<Record<string, string>>
}

const PREFIX = 8
/** The format's own bound, which keeps a hostile file from making its reader parse gigabytes. */
const MAX_HEADER = 100_000_000
/** Data begin at a multiple of this, so that every element is aligned. */
const ALIGNMENT = 8

/**
 * Reads a file of the safetensors format (https://github.com/huggingface/safetensors#format): eight bytes of length, a JSON header, the
 * tensors' bytes. Only the header is read; tensors are views on the source, read when asked for.
 * @param file bytes, or a source that is read in parts; it must stay open while tensors are in use.
 * @throws FewbitError SAFETENSORS_TRUNCATED for a file that ends too early, SAFETENSORS_HEADER for a header that cannot be read,
 *   SAFETENSORS_DTYPE for unknown element types, SAFETENSORS_LAYOUT for tensors that overlap, leave gaps or do not fit their shape.
 */
export function readSafetensors(file: Uint8Array | ByteSource): Safetensors {
  const source = file instanceof Uint8Array ? bytesSource(file) : file
  const { text, start } = readHeaderText(source)
  const { records, metadata } = parseHeader(text)
  checkLayout(records, source.size - start)
  const tensors = records.map((record): [string, Tensor] => {
    const range = fileRange(source, start + record.begin, record.end - record.begin)
    return [record.name, new Tensor(record.dtype, record.dims, range)]
  })
  return { tensors: new Map(tensors), metadata }
}

function readHeaderText(source: ByteSource): { readonly text: string; readonly start: number } {
  if (source.size < PREFIX) throw truncated(`the file has ${source.size} bytes, which is less than its first number`)
  const head = source.read(0, PREFIX)
  const length = Number(new DataView(head.buffer, head.byteOffset, PREFIX).getBigUint64(0, true))
  if (length > MAX_HEADER) throw badHeader(`this is no safetensors file: its header would take ${length} bytes`)
  if (PREFIX + length > source.size) {
    throw truncated(`the file ends after ${source.size} bytes, within a header of ${length} bytes`)
  }
  const bytes = source.read(PREFIX, length)
  if (bytes[0] !== '{'.charCodeAt(0)) throw badHeader('this is no safetensors file: its header does not begin with "{"')
  return { text: decodeUtf8(bytes), start: PREFIX + length }
}

/** The format wants every byte behind the header to belong to exactly one tensor, so that files cannot hide anything. */
function checkLayout(records: readonly TensorRecord[], available: number): void {
  let position = 0
  let before = ''
  for (const record of [...records].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    checkSize(record)
    const { name, begin, end } = record
    if (begin < position) throw badLayout(`"${name}" overlaps "${before}"`, name)
    if (begin > position) throw badLayout(`${begin - position} bytes before "${name}" belong to no tensor`, name)
    if (end > available)
      throw truncated(`the data of "${name}" end at byte ${end}, and the file has ${available}`, name)
    position = end
    before = name
  }
  if (position < available) throw badLayout(`the last ${available - position} bytes belong to no tensor`)
}

function checkSize({ name, dtype, dims, begin, end }: TensorRecord): void {
  const elements = dims.reduce((n, d) => n * d, 1)
  const whole = Number.isSafeInteger(elements) && (dtypeInfo(dtype).bits * elements) % 8 === 0
  if (whole && byteLength(dtype, elements) === end - begin) return
  throw badLayout(`"${name}" is ${dtype}[${dims.join(',')}], which does not take ${end - begin} bytes`, name)
}

const truncated = (message: string, value = ''): Error =>
  problem('SAFETENSORS_TRUNCATED', message, { at: { value }, fix: 'copy the file again' })

const badLayout = (message: string, value = ''): Error =>
  problem('SAFETENSORS_LAYOUT', message, {
    at: { value },
    fix: 'copy the file again, or save it again with the safetensors library',
  })

const NAMES = new Map<DType, string>(Object.entries(SAFETENSORS_DTYPES).map(([name, dtype]) => [dtype, name]))

/**
 * Writes the safetensors format as its own library does: types with large elements first, so that everything is aligned, then by name. The
 * same tensors give the same bytes, in whatever order they come.
 * @throws FewbitError SAFETENSORS_DTYPE for elements that the format does not have (strings, integers below a byte).
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  sink: ByteSink,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const ordered = [...tensors].sort(([a, x], [b, y]) => elementBits(y) - elementBits(x) || (a < b ? -1 : 1))
  sink.write(headerBytes(ordered, metadata))
  for (const [, tensor] of ordered) copyTensor(tensor.source, sink)
}

/** `encodeSafetensors` into memory. */
export function writeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const chunks: Uint8Array[] = []
  encodeSafetensors(tensors, { write: (chunk) => chunks.push(chunk) }, metadata)
  return concatBytes(chunks)
}

const elementBits = (tensor: Tensor): number => dtypeInfo(tensor.dtype).bits

function headerBytes(
  tensors: readonly (readonly [string, Tensor])[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : []
  let position = 0
  for (const [name, tensor] of tensors) {
    const begin = position
    position += tensor.byteLength
    entries.push([name, { dtype: nameOf(tensor, name), shape: tensor.dims, data_offsets: [begin, position] }])
  }
  const text = encodeUtf8(
    `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`,
  )
  const bytes = new Uint8Array(PREFIX + Math.ceil(text.length / ALIGNMENT) * ALIGNMENT).fill(' '.charCodeAt(0))
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - PREFIX), true)
  bytes.set(text, PREFIX)
  return bytes
}

function nameOf({ dtype }: Tensor, name: string): string {
  const found = NAMES.get(dtype)
  if (found !== undefined) return found
  throw problem('SAFETENSORS_DTYPE', `"${name}" is ${dtype}, which the format does not have`, { at: { value: name } })
}
