import { Tensor } from '@fewbit/core/ir'
import { byteLength, type DType, decodeUtf8, problem } from '@fewbit/core/util'

/** numpy type strings that have an ONNX twin; single-byte types have no byte order. */
const DTYPES: Readonly<Record<string, DType>> = {
  '<f2': 'float16',
  '<f4': 'float32',
  '<f8': 'float64',
  '|i1': 'int8',
  '<i2': 'int16',
  '<i4': 'int32',
  '<i8': 'int64',
  '|u1': 'uint8',
  '<u2': 'uint16',
  '<u4': 'uint32',
  '<u8': 'uint64',
  '|b1': 'bool',
}

/** The other way around. */
export const NUMPY_TYPES: Readonly<Partial<Record<DType, string>>> = Object.fromEntries(
  Object.entries(DTYPES).map(([type, dtype]) => [dtype, type]),
)

export interface NpyHeader {
  readonly dtype: DType
  readonly dims: readonly number[]
  /** Where the elements start in the file. */
  readonly offset: number
}

const MAGIC = '\u0093NUMPY'

/**
 * Reads the header of a .npy file (numpy NEP 1, versions 1 to 3).
 * @param head at least the first 10 bytes and the header text that they announce.
 * @throws FewbitError DATA_NPY for other files, object arrays, big-endian or Fortran-ordered data.
 */
export function parseNpyHeader(head: Uint8Array, file: string): NpyHeader {
  const magic = String.fromCharCode(...head.subarray(0, 6))
  if (head.length < 12 || magic !== MAGIC) throw bad(file, 'this is not a .npy file')
  const { start, length } = headerRange(head)
  if (start + length > head.length) throw bad(file, 'the file ends within its header')
  const text = decodeUtf8(head.subarray(start, start + length))
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1]
  const shape = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1]
  if (shape === undefined) throw bad(file, 'the header has no shape')
  const dims = shape.split(',').flatMap((d) => (d.trim() === '' ? [] : [Number(d.replace(/L$/, ''))]))
  if (!dims.every((d) => Number.isSafeInteger(d) && d >= 0)) throw bad(file, `the shape (${shape}) is not valid`)
  const dtype = descr === undefined ? undefined : DTYPES[descr]
  if (!dtype) {
    throw bad(
      file,
      `elements of type ${descr ?? 'object or record'} are not read`,
      'save the array as a plain little-endian type',
    )
  }
  if (/'fortran_order':\s*True/.test(text) && dims.filter((d) => d > 1).length > 1) {
    throw bad(file, 'the array is in Fortran order', 'save np.ascontiguousarray(array)')
  }
  return { dtype, dims, offset: start + length }
}

/** Bytes that a reader must have to parse the header. */
export function npyHeaderLength(head: Uint8Array): number {
  const { start, length } = headerRange(head)
  return start + length
}

function headerRange(head: Uint8Array): { start: number; length: number } {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  return head[6] === 1 ? { start: 10, length: view.getUint16(8, true) } : { start: 12, length: view.getUint32(8, true) }
}

/** A whole .npy file as a tensor over its bytes. */
export function parseNpy(bytes: Uint8Array, file: string): Tensor {
  const { dtype, dims, offset } = parseNpyHeader(bytes, file)
  const size = byteLength(
    dtype,
    dims.reduce((n, d) => n * d, 1),
  )
  if (bytes.length - offset < size)
    throw bad(file, `the file ends after ${bytes.length - offset} of ${size} bytes of data`)
  return Tensor.fromBytes(dtype, dims, bytes.subarray(offset, offset + size))
}

function bad(file: string, message: string, fix = 'save the array again with numpy.save'): Error {
  return problem('DATA_NPY', message, { at: { file }, fix })
}
