import { afterEach, describe, expect, it } from 'vitest'
import { startKernelPool } from './kernel-pool.ts'

/** `run(job, first, end, scratch)` stores `scratch` at job + 4 · first. */
const STORE = [
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x01, 0x60, 0x04, 0x7f, 0x7f, 0x7f, 0x7f, 0x00],
  // (import "env" "memory" (memory 16 65536 shared))
  ...[
    0x02,
    0x12,
    0x01,
    0x03,
    ...Buffer.from('env'),
    0x06,
    ...Buffer.from('memory'),
    0x02,
    0x03,
    0x10,
    0x80,
    0x80,
    0x04,
  ],
  ...[0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, ...Buffer.from('run'), 0x00, 0x00],
  ...[0x0a, 0x11, 0x01, 0x0f, 0x00, 0x20, 0x00, 0x20, 0x01, 0x41, 0x02, 0x74, 0x6a, 0x20, 0x03, 0x36, 0x02, 0x00, 0x0b],
]

const module = new WebAssembly.Module(new Uint8Array(STORE))
const UNITS = 500
const work = { address: 1024, units: UNITS, scratch: 7, scratchBytes: 1 }

function started() {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 65536, shared: true })
  const pool = startKernelPool({ module, memory, threads: 3, controlWords: 16 })
  return { pool, memory, made: () => Array.from(new Int32Array(memory.buffer, work.address, UNITS)) }
}

describe('a pool of threads', () => {
  let open = started()
  afterEach(async () => {
    await open.pool.release()
    open = started()
  })

  it('runs every unit, and the workers take part with scratch of their own', () => {
    const seen = new Set<number>()
    const stop = performance.now() + 20_000
    while (seen.size < 3 && performance.now() < stop) {
      new Int32Array(open.memory.buffer, work.address, UNITS).fill(0)
      open.pool.run(work)
      const made = open.made()
      expect(made.filter((x) => x < 7 || x > 9)).toEqual([])
      for (const x of made) seen.add(x)
    }
    expect([...seen].sort()).toEqual([7, 8, 9])
  })

  it('turns traps into one error, and runs what comes behind', () => {
    // The last hundred units store behind the end.
    const bad = { ...work, address: open.memory.buffer.byteLength - 4 * (UNITS - 100) }
    for (let i = 0; i < 20; i++) expect(() => open.pool.run(bad)).toThrow(/INTEGER_THREAD.*failed/)
    open.pool.run(work)
    expect(open.made().filter((x) => x < 7 || x > 9)).toEqual([])
  })

  it('sees memory that grew while the workers slept', () => {
    open.pool.run(work)
    open.memory.grow(4)
    const far = { ...work, address: open.memory.buffer.byteLength - 4 * UNITS }
    for (let i = 0; i < 50; i++) open.pool.run(far)
    expect(Array.from(new Int32Array(open.memory.buffer, far.address, UNITS)).every((x) => x >= 7)).toBe(true)
  })

  it('ends its threads with the last release, which may come twice', async () => {
    open.pool.run(work)
    await open.pool.release()
    await open.pool.release()
  })
})
