import type { StringStringEntryProto, TensorProto } from 'onnx-buf'
import { type Place, problem } from '../util/index.ts'
import type { FileContext } from './payload.ts'
import type { TensorSource } from './source.ts'

/** A checked reference to a range of another file. */
export interface ExternalRange {
  /** Path relative to the model's folder, with `/` between parts. */
  readonly location: string
  readonly offset: number
  /** Undefined where the file leaves it to the tensor's type and shape. */
  readonly length: number | undefined
}

/**
 * Says why a location must not be opened, or undefined if it stays in the model's folder as far as its text tells;
 * links are for the host to check.
 */
export function locationProblem(location: string): string | undefined {
  if (location === '') return 'is empty'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u001f\u007f]/.test(location)) return 'holds control characters'
  if (location.includes('\\')) return 'holds a backslash'
  if (location.startsWith('/')) return 'is an absolute path'
  if (/^[A-Za-z]:/.test(location)) return 'names a drive'
  if (location.startsWith('*/')) return 'is a marker for data in the memory of another process'
  if (leavesFolder(location)) return "leaves the model's folder"
  return undefined
}

function leavesFolder(location: string): boolean {
  let depth = 0
  for (const part of location.split('/')) {
    if (part === '..') depth--
    else if (part !== '' && part !== '.') depth++
    if (depth < 0) return true
  }
  return depth === 0
}

/** @throws FewbitError ONNX_EXTERNAL_PATH, ONNX_EXTERNAL_RANGE. */
export function externalRange(tensor: TensorProto, at: Place): ExternalRange {
  const entries = new Map(tensor.externalData.map((entry: StringStringEntryProto) => [entry.key, entry.value]))
  const location = entries.get('location') ?? ''
  const reason = locationProblem(location)
  if (reason) {
    const detail = { at, fix: 'external data must lie beside the model or in a folder below it' }
    throw problem('ONNX_EXTERNAL_PATH', `the external data location ${JSON.stringify(location)} ${reason}`, detail)
  }
  return {
    location,
    offset: integer(entries.get('offset'), 'offset', at) ?? 0,
    length: integer(entries.get('length'), 'length', at),
  }
}

function integer(text: string | undefined, key: string, at: Place): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value
  throw problem('ONNX_EXTERNAL_RANGE', `the external data ${key} ${JSON.stringify(text.slice(0, 40))} is no size`, {
    at,
  })
}

/** The bytes of an external tensor. The file is opened at the first read, so that a graph can be read without it. */
export function externalSource(
  range: ExternalRange,
  byteLength: number,
  context: FileContext,
  at: Place,
): TensorSource {
  const { location, offset } = range
  const open = () => {
    if (!context.openExternal) {
      throw problem('ONNX_EXTERNAL_MISSING', `the tensor's data are in "${location}", which was not given`, { at })
    }
    const file = context.openExternal(location)
    if (offset + byteLength <= file.size) return file
    const message = `the tensor needs bytes ${offset} to ${offset + byteLength} of "${location}", which has ${file.size}`
    throw problem('ONNX_EXTERNAL_RANGE', message, { at, fix: 'check that the file was copied completely' })
  }
  return {
    byteLength,
    external: { location, offset },
    read: () => open().read(offset, byteLength),
    readRange: (start, length) => open().read(offset + start, length),
  }
}
