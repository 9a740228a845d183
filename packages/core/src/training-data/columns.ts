import { arrangePixels, channelsOf, type Pictures, pixelTable } from '../engine/index.ts'
import { Tensor } from '../ir/index.ts'
import { type DType, must, problem, viewAs } from '../util/index.ts'
import { ByteRows } from './byte-rows.ts'
import { inPlace, type PictureShape, type Placement, place } from './placement.ts'

/** One input's share of all samples, in memory. */
export interface Column {
  readonly byteLength: number
  /** Set where rows can be moved about like pictures. */
  readonly picture: PictureShape | undefined
  /** Bytes of row i as they are kept, for digests. */
  row(i: number): Uint8Array
  /** @param placements one for each index, for pictures only. */
  batch(indices: Uint32Array, placements?: readonly Placement[]): Tensor
}

/** Rows of any type, kept as they are. */
export class TensorColumn implements Column {
  readonly dtype: DType
  readonly dims: readonly number[]
  readonly picture: PictureShape | undefined
  readonly #rows: ByteRows

  /** @param first row; `picture` says how its axes lie, where it is one. */
  constructor(first: Tensor, picture?: PictureShape) {
    this.dtype = first.dtype
    this.dims = first.dims.slice(1)
    this.picture = first.dtype === 'float32' ? picture : undefined
    this.#rows = new ByteRows(first.byteLength)
  }

  get byteLength(): number {
    return this.#rows.byteLength
  }

  /** @throws FewbitError DATA_SHAPE for a row unlike the first. */
  push(tensor: Tensor, id: string): void {
    if (tensor.dims.slice(1).join() !== this.dims.join()) throw unlike(id, tensor.dims.slice(1), this.dims)
    this.#rows.push(tensor.bytes())
  }

  row(i: number): Uint8Array {
    return this.#rows.row(i)
  }

  batch(indices: Uint32Array, placements?: readonly Placement[]): Tensor {
    const dims = [indices.length, ...this.dims]
    if (placements && this.picture) return this.#moved(indices, placements, this.picture)
    const bytes = new Uint8Array(indices.length * this.#rows.rowBytes)
    for (const [n, i] of indices.entries()) bytes.set(this.#rows.row(i), n * this.#rows.rowBytes)
    return Tensor.fromBytes(this.dtype, dims, bytes)
  }

  #moved(indices: Uint32Array, placements: readonly Placement[], shape: PictureShape): Tensor {
    const size = shape.channels * shape.height * shape.width
    const out = new Float32Array(indices.length * size)
    for (const [n, i] of indices.entries())
      place(out, n * size, viewAs(this.#rows.row(i), Float32Array), shape, must(placements[n], 'placement'))
    return Tensor.float32([indices.length, ...this.dims], out)
  }
}

/** Pictures as bytes in the network's order of axes, normalized when a batch is made. */
export class PictureColumn implements Column {
  readonly picture: PictureShape
  readonly #rows: ByteRows
  readonly #tables: readonly Float32Array[]
  readonly #preprocess: Pictures['preprocess']
  readonly #dtype: DType

  constructor({ input, preprocess }: Pictures, { height, width }: { readonly height: number; readonly width: number }) {
    const channels = channelsOf(preprocess)
    this.picture = { layout: preprocess.layout, channels, height, width }
    this.#rows = new ByteRows(channels * height * width)
    this.#tables = Array.from({ length: channels }, (_, c) => pixelTable(preprocess, c))
    this.#preprocess = preprocess
    this.#dtype = input.dtype
  }

  get byteLength(): number {
    return this.#rows.byteLength
  }

  /** @throws FewbitError DATA_SHAPE for a picture of another size. */
  push(pixels: Parameters<typeof arrangePixels>[0], id: string): void {
    const { height, width } = this.picture
    if (pixels.height !== height || pixels.width !== width)
      throw unlike(id, [pixels.height, pixels.width], [height, width])
    this.#rows.push(arrangePixels(pixels, this.#preprocess))
  }

  row(i: number): Uint8Array {
    return this.#rows.row(i)
  }

  batch(indices: Uint32Array, placements?: readonly Placement[]): Tensor {
    const shape = this.picture
    const { layout, channels, height, width } = shape
    const size = channels * height * width
    const out = new Float32Array(indices.length * size)
    const still = inPlace(shape)
    for (const [n, i] of indices.entries())
      place(out, n * size, this.#rows.row(i), shape, placements?.[n] ?? still, this.#tables)
    const dims = layout === 'nchw' ? [channels, height, width] : [height, width, channels]
    const all = [indices.length, ...dims]
    return this.#dtype === 'float32' ? Tensor.float32(all, out) : Tensor.fromNumbers(this.#dtype, all, out)
  }
}

const unlike = (id: string, dims: readonly number[], first: readonly number[]): Error =>
  problem(
    'DATA_SHAPE',
    `sample "${id}" is ${dims.join('×')}, and the first one ${first.join('×')}: batches need one size`,
    {
      at: { file: id },
      fix: 'resize pictures with --resize HxW, or give samples of one size',
    },
  )
