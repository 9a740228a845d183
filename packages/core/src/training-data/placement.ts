/** A picture's axes as they lie in memory. */
export interface PictureShape {
  readonly layout: 'nchw' | 'nhwc'
  readonly channels: number
  readonly height: number
  readonly width: number
}

/** For each row and column of the result the one of the picture that it is taken from, or `OUTSIDE`. */
export interface Placement {
  readonly rows: Int32Array
  readonly columns: Int32Array
}

export const OUTSIDE = -1

/** The picture as it is. */
export const inPlace = ({ height, width }: PictureShape): Placement => ({
  rows: Int32Array.from({ length: height }, (_, y) => y),
  columns: Int32Array.from({ length: width }, (_, x) => x),
})

type Numbers = Uint8Array | Float32Array

/**
 * Writes one picture into a batch.
 * @param at where the picture begins in `out`.
 * @param tables what a byte becomes, for each channel; without them numbers are copied.
 * @param filler what lies outside of the picture, before `tables`.
 */
export function place(
  out: Float32Array,
  at: number,
  picture: Numbers,
  shape: PictureShape,
  { rows, columns }: Placement,
  tables?: readonly Float32Array[],
): void {
  const { layout, channels, height, width } = shape
  const [plane, step] = layout === 'nchw' ? [height * width, 1] : [1, channels]
  for (let c = 0; c < channels; c++) {
    const table = tables?.[c]
    const filler = table ? (table[0] as number) : 0
    let o = at + c * plane
    for (let y = 0; y < height; y++) {
      const row = rows[y] as number
      const start = c * plane + row * width * step
      for (let x = 0; x < width; x++, o += step) {
        const column = columns[x] as number
        if (row === OUTSIDE || column === OUTSIDE) out[o] = filler
        else {
          const value = picture[start + column * step] as number
          out[o] = table ? (table[value] as number) : value
        }
      }
    }
  }
}
