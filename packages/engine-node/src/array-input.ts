import {
  formatType,
  type ModelInput,
  normalizePixels,
  type Pixels,
  type Preprocess,
  resolvePreprocess,
} from '@fewbit/core/engine'
import { Tensor } from '@fewbit/core/ir'
import { type DType, isFloat, isInteger, problem } from '@fewbit/core/util'
import { type DataOptions, preprocessOf } from './data-options.ts'
import { fitPixels } from './image-decode.ts'

/** Turns one row of an array, dims `[1, …]`, into a tensor for the input. */
export interface RowReader {
  read(row: Tensor): Promise<Tensor>
  /** Set where rows are pixels. */
  readonly picture?: PictureReader
}

export interface PictureReader {
  readonly preprocess: Preprocess
  pixels(row: Tensor): Promise<Pixels>
}

/**
 * Chooses how rows become inputs: 8-bit pictures for a float image input are preprocessed like image files; everything else
 * is converted to the input's type and, where only axes of size 1 are missing, its shape.
 * @param dims of the array, samples along axis 0.
 */
export function rowReader(dtype: DType, dims: readonly number[], input: ModelInput, options: DataOptions): RowReader {
  const picture = dtype === 'uint8' && isFloat(input.dtype) && input.shape?.length === 4 ? pictureAxes(dims) : undefined
  if (!picture) return { read: async (row) => convert(row, input) }
  const preprocess = resolvePreprocess(preprocessOf(options), input)
  const pixels = (row: Tensor) => fitPixels(toPixels(row, picture), preprocess)
  return {
    picture: { preprocess, pixels },
    read: async (row) => normalizePixels(await pixels(row), preprocess, input.dtype),
  }
}

type PictureAxes = 'hw' | 'hwc' | 'chw'

function pictureAxes(dims: readonly number[]): PictureAxes | undefined {
  if (dims.length === 3) return 'hw'
  if (dims.length !== 4) return undefined
  if (dims[3] === 3 || dims[3] === 1) return 'hwc'
  return dims[1] === 3 || dims[1] === 1 ? 'chw' : undefined
}

function toPixels(row: Tensor, axes: PictureAxes): Pixels {
  const [, a = 1, b = 1, c = 1] = row.dims
  const data = row.bytes()
  if (axes === 'hw') return { data, height: a, width: b, channels: 1 }
  if (axes === 'hwc') return { data, height: a, width: b, channels: c === 1 ? 1 : 3 }
  return { data: interleave(data, a), height: b, width: c, channels: a === 1 ? 1 : 3 }
}

function interleave(planes: Uint8Array, channels: number): Uint8Array {
  const area = planes.length / channels
  return Uint8Array.from(planes, (_, i) => planes[(i % channels) * area + Math.floor(i / channels)] as number)
}

function convert(row: Tensor, input: ModelInput): Tensor {
  const shaped = dropTargets(reshapeTo(row, input), input)
  if (shaped.dtype === input.dtype) return shaped
  if (shaped.dtype === 'string' || (isFloat(shaped.dtype) && !isFloat(input.dtype))) throw wrongType(row, input)
  return Tensor.fromNumbers(input.dtype, shaped.dims, shaped.numbers())
}

/** Rows of T + 1 tokens for an input of T: the last token is only the target of the one before it. */
function dropTargets(row: Tensor, input: ModelInput): Tensor {
  const length = input.shape?.[1]
  const tokens = row.dims.length === 2 && input.shape?.length === 2 && isInteger(row.dtype) && isInteger(input.dtype)
  if (!tokens || typeof length !== 'number' || row.dims[1] !== length + 1) return row
  const bytes = row.bytes()
  return Tensor.fromBytes(row.dtype, [1, length], bytes.subarray(0, (bytes.length / (length + 1)) * length))
}

/** Adds or drops axes of size 1 where that alone makes the shapes agree. */
function reshapeTo(row: Tensor, input: ModelInput): Tensor {
  const shape = input.shape
  if (!shape || shape.length === row.dims.length) return row
  if (shape.length === 0 && row.size === 1) return row.reshape([])
  const sizes = row.dims.slice(1).filter((d) => d !== 1)
  const open = shape.slice(1).filter((d) => d !== 1)
  if (sizes.length !== open.length) return row
  let next = 0
  return row.reshape([1, ...shape.slice(1).map((d) => (d === 1 ? 1 : (sizes[next++] as number)))])
}

function wrongType(row: Tensor, input: ModelInput): Error {
  return problem(
    'DATA_DTYPE',
    `${row.dtype} data cannot feed input "${input.name}" ${formatType(input.dtype, input.shape)}`,
    {
      at: { value: input.name },
      fix: `save the array as ${input.dtype}`,
    },
  )
}
