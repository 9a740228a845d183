import type { Tensor } from '@fewbit/core/ir'
import { concatBytes, encodeUtf8, problem } from '@fewbit/core/util'
import { zipSync } from 'fflate'
import { NUMPY_TYPES } from './npy.ts'

/**
 * A .npy file, version 1.0 (NEP 1): magic, header padded to 64 bytes, elements.
 * @throws FewbitError TENSOR_DTYPE for types that NumPy does not have.
 */
export function npyBytes({
  dtype,
  dims,
  bytes,
}: Pick<Tensor, 'dtype' | 'dims'> & { readonly bytes: Uint8Array }): Uint8Array {
  const type = NUMPY_TYPES[dtype]
  if (!type) throw problem('TENSOR_DTYPE', `NumPy has no ${dtype}`)
  const shape = dims.map((d) => `${d},`).join('')
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape})}`
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const head = Uint8Array.of(0x93, ...encodeUtf8('NUMPY'), 1, 0, padded.length & 0xff, padded.length >> 8)
  return concatBytes([head, encodeUtf8(padded), bytes])
}

/** Arrays as a .npz file, not compressed. */
export function npzBytes(arrays: ReadonlyMap<string, Parameters<typeof npyBytes>[0]>): Uint8Array {
  const entries = [...arrays].map(([name, array]) => [`${name}.npy`, npyBytes(array)] as const)
  return zipSync(Object.fromEntries(entries), { level: 0 })
}
