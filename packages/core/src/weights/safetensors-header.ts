import { type DType, problem } from '../util/index.ts'

/** Element types of the format and their ONNX twins. `F6_E2M3` and `F6_E3M2` have none. */
export const SAFETENSORS_DTYPES = {
  BOOL: 'bool',
  F4: 'float4e2m1',
  F8_E5M2: 'float8e5m2',
  F8_E4M3: 'float8e4m3fn',
  F8_E5M2FNUZ: 'float8e5m2fnuz',
  F8_E4M3FNUZ: 'float8e4m3fnuz',
  F8_E8M0: 'float8e8m0',
  U8: 'uint8',
  I8: 'int8',
  U16: 'uint16',
  I16: 'int16',
  F16: 'float16',
  BF16: 'bfloat16',
  U32: 'uint32',
  I32: 'int32',
  F32: 'float32',
  C64: 'complex64',
  U64: 'uint64',
  I64: 'int64',
  F64: 'float64',
} as const satisfies Record<string, DType>

/** One tensor of the header: `begin` and `end` are bytes behind the header. */
export interface TensorRecord {
  readonly name: string
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly begin: number
  readonly end: number
}

export interface SafetensorsHeader {
  readonly records: readonly TensorRecord[]
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * Reads the JSON of a header. What the records say is checked one by one; that they fill the file without gaps is the caller's to check.
 * @throws FewbitError SAFETENSORS_HEADER, SAFETENSORS_DTYPE
 */
export function parseHeader(text: string): SafetensorsHeader {
  const root = parseObject(text)
  const { __metadata__: metadata, ...tensors } = root
  const records = Object.entries(tensors).map(([name, record]) => readRecord(name, record))
  return { records, metadata: readMetadata(metadata) }
}

function parseObject(text: string): Record<string, unknown> {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch (error) {
    throw badHeader(`the header is no JSON: ${(error as Error).message}`)
  }
  if (!isRecord(root)) throw badHeader('the header is no JSON object')
  return root
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readMetadata(metadata: unknown): Readonly<Record<string, string>> {
  if (metadata === undefined) return {}
  const strings = isRecord(metadata) && Object.values(metadata).every((value) => typeof value === 'string')
  if (!strings) throw badHeader('"__metadata__" of the header holds something other than strings')
  return metadata as Record<string, string>
}

function readRecord(name: string, record: unknown): TensorRecord {
  if (!isRecord(record)) throw badHeader(`the record of "${name}" is no JSON object`, name)
  const { dtype, shape, data_offsets: offsets } = record
  const [begin, end, ...rest] = sizes(offsets) ?? []
  const dims = sizes(shape)
  if (!dims) throw badHeader(`the shape of "${name}" is no list of sizes`, name)
  if (begin === undefined || end === undefined || rest.length > 0 || begin > end) {
    throw badHeader(`"data_offsets" of "${name}" are no pair of a begin and an end`, name)
  }
  return { name, dtype: dtypeNamed(dtype, name), dims, begin, end }
}

function sizes(list: unknown): readonly number[] | undefined {
  const valid = Array.isArray(list) && list.every((size) => Number.isSafeInteger(size) && size >= 0)
  return valid ? list : undefined
}

function dtypeNamed(dtype: unknown, name: string): DType {
  if (typeof dtype === 'string' && Object.hasOwn(SAFETENSORS_DTYPES, dtype)) {
    return SAFETENSORS_DTYPES[dtype as keyof typeof SAFETENSORS_DTYPES]
  }
  const message = `"${name}" has elements of type ${JSON.stringify(dtype) ?? 'undefined'}, which is not read`
  const fix = `save it as one of ${Object.keys(SAFETENSORS_DTYPES).join(', ')}`
  throw problem('SAFETENSORS_DTYPE', message, { at: { value: name }, fix })
}

export function badHeader(message: string, value = ''): Error {
  const fix = 'copy the file again, or save it again with the safetensors library'
  return problem('SAFETENSORS_HEADER', message, { at: { value }, fix })
}
