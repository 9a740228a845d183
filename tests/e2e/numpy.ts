import { zipSync } from 'fflate'

const DESCR = { float32: '<f4', uint8: '|u1', int64: '<i8', int32: '<i4' } as const

export interface NumpyArray {
  readonly dtype: keyof typeof DESCR
  readonly shape: readonly number[]
  readonly data: ArrayBufferView
}

/** numpy's format 1.0. */
export function npy({ dtype, shape, data }: NumpyArray): Uint8Array {
  const dims = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`
  const text = `{'descr': '${DESCR[dtype]}', 'fortran_order': False, 'shape': ${dims}, }`
  const head = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const prefix = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, head.length & 255, head.length >> 8])
  return Buffer.concat([prefix, Buffer.from(head), new Uint8Array(data.buffer, data.byteOffset, data.byteLength)])
}

export const npz = (arrays: Readonly<Record<string, NumpyArray>>): Uint8Array =>
  zipSync(Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${name}.npy`, npy(array)])))

export const floats = (shape: readonly number[], value: (i: number) => number): NumpyArray => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => value(i)),
})

export const labels = (values: readonly number[]): NumpyArray => ({
  dtype: 'int32',
  shape: [values.length],
  data: Int32Array.from(values),
})
