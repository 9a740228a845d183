import { open } from 'node:fs/promises'
import { rows } from '@fewbit/core/engine'
import { Tensor } from '@fewbit/core/ir'
import { byteLength, type DType, problem } from '@fewbit/core/util'
import { npyHeaderLength, parseNpyHeader } from './npy.ts'

/** An array whose rows along axis 0 are read one at a time. */
export interface RowSource {
  readonly dtype: DType
  readonly dims: readonly number[]
  /** Row i with its leading axis kept: dims `[1, …]`. */
  row(i: number): Promise<Tensor>
}

export const tensorRows = (tensor: Tensor): RowSource => ({
  dtype: tensor.dtype,
  dims: tensor.dims,
  row: async (i) => rows(tensor, i, i + 1),
})

/** Longest header that numpy writes for plain arrays is far below this. */
const HEAD = 4096

/** Rows of a .npy file, read from disk when asked for. */
export async function npyRows(path: string): Promise<RowSource> {
  const { dtype, dims, offset } = await readHeader(path)
  const rest = dims.slice(1)
  const size = byteLength(
    dtype,
    rest.reduce((n, d) => n * d, 1),
  )
  return {
    dtype,
    dims,
    row: async (i) => Tensor.fromBytes(dtype, [1, ...rest], await readRange(path, offset + i * size, size)),
  }
}

async function readHeader(path: string) {
  const head = await readRange(path, 0, HEAD, true)
  const needed = head.length >= 12 ? npyHeaderLength(head) : 0
  return parseNpyHeader(needed > head.length && needed < 2 ** 20 ? await readRange(path, 0, needed, true) : head, path)
}

async function readRange(path: string, position: number, length: number, short = false): Promise<Uint8Array> {
  const file = await open(path)
  try {
    const bytes = new Uint8Array(length)
    const { bytesRead } = await file.read(bytes, 0, length, position)
    if (bytesRead < length && !short)
      throw problem('DATA_NPY', 'the file ends before its last row', {
        at: { file: path },
        fix: 'copy it again, or save the array again with numpy.save',
      })
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
