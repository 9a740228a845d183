import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rng } from '../../../util/index.ts'
import type { Kernels, Rows } from './kernels.ts'
import { plainKernels } from './plain.ts'
import { fastKernels } from './wasm.ts'

function filled(kernels: Kernels, count: number, length: number, seed: number): Rows {
  const r = rng(seed)
  const rows = kernels.rows(count, length)
  const { data, stride } = rows
  for (let i = 0; i < count; i++) for (let k = 0; k < length; k++) data[i * stride + k] = r.int(65536) - 32768
  return rows
}

function product(kernels: Kernels, [m, n, k]: readonly [number, number, number], seed: number): number[] {
  const mark = kernels.mark()
  const a = filled(kernels, m, k, seed)
  const b = filled(kernels, n, k, seed + 1)
  const out = Array.from(kernels.dots(a, b))
  kernels.release(mark)
  return out
}

const small = fc.integer({ min: 1, max: 11 })

describe('kernels', () => {
  const wasm = fastKernels()

  it('run in WebAssembly here', () => {
    expect(wasm.name).toBe('wasm')
  })

  it('give the same sums, of which some wrap', () => {
    fc.assert(
      fc.property(fc.tuple(small, small, fc.integer({ min: 1, max: 70 })), fc.nat(), (sizes, seed) => {
        expect(product(wasm, sizes, seed)).toEqual(product(plainKernels, sizes, seed))
      }),
      { numRuns: 200 },
    )
  })

  it('give sums modulo 2^32', () => {
    for (const kernels of [wasm, plainKernels]) {
      const [a, b] = [kernels.rows(1, 3), kernels.rows(1, 3)]
      a.data.fill(-32768, 0, 3)
      b.data.fill(-32768, 0, 3)
      // 3 · 2^30 = 2^31 + 2^30.
      expect([...kernels.dots(a, b)]).toEqual([-(2 ** 30)])
    }
  })

  it('have room for more than they started with, and give it back', () => {
    const sizes = [64, 700, 3000] as const
    const sums = product(wasm, sizes, 3)
    expect(sums).toHaveLength(64 * 700)
    expect(product(wasm, sizes, 3)).toEqual(sums)
    const mark = wasm.mark()
    product(wasm, sizes, 4)
    expect(wasm.mark()).toBe(mark)
  })
})
