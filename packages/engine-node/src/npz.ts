import { readFile } from 'node:fs/promises'
import type { Tensor } from '@fewbit/core/ir'
import { problem } from '@fewbit/core/util'
import { unzip } from 'fflate'
import { parseNpy } from './npy.ts'

/** Arrays are unpacked in memory; what is larger belongs in .npy files, which are read row by row. */
const MAX_BYTES = 4 * 2 ** 30

/**
 * Arrays of a .npz file by name.
 * @throws FewbitError DATA_NPZ for a damaged archive or more than 4 GiB of arrays.
 */
export async function readNpz(path: string): Promise<Map<string, Tensor>> {
  const entries = await unpack(await readFile(path), path)
  const names = Object.keys(entries).filter((name) => name.endsWith('.npy'))
  return new Map(names.map((name) => [name.slice(0, -4), parseNpy(entries[name] as Uint8Array, `${path}/${name}`)]))
}

function unpack(bytes: Uint8Array, path: string): Promise<Record<string, Uint8Array>> {
  let total = 0
  return new Promise((resolve, reject) => {
    const filter = ({ name, originalSize }: { name: string; originalSize: number }): boolean => {
      if (!name.endsWith('.npy')) return false
      total += originalSize
      return total <= MAX_BYTES
    }
    unzip(bytes, { filter }, (error, entries) => {
      if (error) reject(damaged(path, error))
      else if (total > MAX_BYTES) reject(tooLarge(path))
      else resolve(entries)
    })
  })
}

const damaged = (path: string, error: Error): Error =>
  problem(
    'DATA_NPZ',
    `the archive cannot be unpacked: ${error.message}`,
    { at: { file: path }, fix: 'copy it again, or save the arrays again with numpy.savez' },
    error,
  )

const tooLarge = (path: string): Error =>
  problem('DATA_NPZ', 'the archive holds more than 4 GiB of arrays', {
    at: { file: path },
    fix: 'save the data as .npy, which is read row by row, or split it into one .npz for each sample',
  })
