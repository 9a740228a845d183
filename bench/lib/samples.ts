import { writeFileSync } from 'node:fs'
import type { Dataset, Sample } from '@fewbit/core/engine'
import type { Tensor } from '@fewbit/core/ir'
import { zipSync } from 'fflate'

const NUMPY_TYPES: Readonly<Record<string, string>> = { float32: '<f4', float64: '<f8', int32: '<i4', int64: '<i8' }

/** Writes samples as a NumPy archive: one array for each input, samples along a new first axis. */
export async function writeSamples(data: Dataset, path: string): Promise<void> {
  const samples: Sample[] = []
  for await (const sample of data.samples()) samples.push(sample)
  const names = Object.keys(samples[0]?.feeds ?? {})
  const arrays = names.map((name) => [`${name}.npy`, npy(samples.map((s) => s.feeds[name] as Tensor))] as const)
  writeFileSync(path, zipSync(Object.fromEntries(arrays), { level: 0 }))
}

/** NumPy's file format, version 1.0 (NEP 1): magic, header padded to 64 bytes, elements. */
function npy(tensors: readonly Tensor[]): Uint8Array {
  const { dtype, dims } = tensors[0] as Tensor
  const shape = [tensors.length, ...dims].map((d) => `${d},`).join('')
  const text = `{'descr': '${NUMPY_TYPES[dtype]}', 'fortran_order': False, 'shape': (${shape})}`
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const length = Buffer.from([padded.length & 0xff, padded.length >> 8])
  const head = Buffer.concat([
    Buffer.from([0x93]),
    Buffer.from('NUMPY'),
    Buffer.from([1, 0]),
    length,
    Buffer.from(padded),
  ])
  return Buffer.concat([head, ...tensors.map((t) => t.bytes())])
}
