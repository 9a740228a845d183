import type { KernelPool, PooledWork, StartPool } from '../../../engine/index.ts'
import { invariant } from '../../../util/index.ts'
import type { WindowAxis } from '../window.ts'
import { KERNELS_WASM, SHARED_KERNELS_WASM } from './generated/kernels-wasm.ts'
import { type GreatestJob, type Kernels, paddedLength, type Rows, type SumJob } from './kernels.ts'
import { plainKernels } from './plain.ts'
import { placeJob, runsInWasm } from './wasm-job.ts'
import type { Sharing } from './work-units.ts'

interface Exports {
  greatest(from: number, to: number, outer: number, size: number, inner: number, ...slide: number[]): void
  run(job: number, first: number, end: number, scratch: number): void
  dots(a: number, m: number, b: number, n: number, rowBytes: number, out: number): void
}

const PAGE = 65536
const FIRST_PAGES = 16
const MOST_PAGES = 65536
const ALIGNMENT = 16
/** Bytes at the start that threads agree by; address 0 stands for nothing. */
const RESERVED = 64

const slide = ({ kernel, stride, dilation, begin, positions }: WindowAxis): number[] => [
  kernel,
  stride,
  dilation,
  begin,
  positions,
]

/** Rows in WebAssembly's memory. Views end when memory grows, so that they are made when they are asked for. */
class WasmRows implements Rows {
  readonly address: number
  readonly count: number
  readonly stride: number
  readonly #memory: WebAssembly.Memory

  constructor(memory: WebAssembly.Memory, address: number, count: number, stride: number) {
    this.#memory = memory
    this.address = address
    this.count = count
    this.stride = stride
  }

  get data(): Int16Array {
    return new Int16Array(this.#memory.buffer, this.address, this.count * this.stride)
  }
}

const ALONE: Sharing = { threads: 1, leastWork: 0 }

/** Some 20 µs at 12 GMAC/s: smaller layers run in the caller's thread alone. */
const LEAST_WORK = 1 << 18

/** Threads beside the caller's, which start when the first layer is large enough. */
interface Threads extends Sharing {
  readonly start: () => KernelPool
}

/** Kernels with vector instructions: eight products of 16 bits at a time. Memory is a stack that `release` pops. */
class WasmKernels implements Kernels {
  readonly name = 'wasm'
  readonly #memory: WebAssembly.Memory
  readonly #exports: Exports
  readonly #threads: Threads | undefined
  #pool: KernelPool | undefined
  #top = RESERVED

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, threads?: Threads) {
    this.#memory = memory
    this.#threads = threads
    const { exports } = new WebAssembly.Instance(module, { env: { memory } })
    this.#exports = exports as unknown as Exports
  }

  rows(count: number, length: number): Rows {
    const stride = paddedLength(length)
    const rows = new WasmRows(this.#memory, this.#take(2 * count * stride), count, stride)
    // Memory is used again and again.
    rows.data.fill(0)
    return rows
  }

  dots(a: Rows, b: Rows): Int32Array {
    invariant(a instanceof WasmRows && b instanceof WasmRows && a.stride === b.stride, () => 'rows of other kernels')
    const length = a.count * b.count
    const out = this.#take(4 * length)
    this.#exports.dots(a.address, a.count, b.address, b.count, 2 * a.stride, out)
    return new Int32Array(this.#memory.buffer, out, length)
  }

  sums(job: SumJob): boolean {
    if (!runsInWasm(job)) return false
    const mark = this.#top
    try {
      const sharing = this.#threads ?? ALONE
      const placed = placeJob(job, { take: (bytes) => this.#take(bytes), memory: this.#memory, sharing })
      this.#run(placed)
      placed.fetch()
    } finally {
      this.#top = mark
    }
    return true
  }

  greatest({ codes, planes, window: [v, h], out }: GreatestJob): boolean {
    if (codes.BYTES_PER_ELEMENT > 1) return false
    const mark = this.#top
    const isSigned = codes instanceof Int8Array ? 1 : 0
    const from = this.#take(codes.length)
    const columns = this.#take(planes * v.positions * h.size)
    const to = this.#take(out.length)
    const bytes = new Uint8Array(this.#memory.buffer)
    bytes.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.length), from)
    this.#exports.greatest(from, columns, planes, v.size, h.size, ...slide(v), isSigned)
    this.#exports.greatest(columns, to, planes * v.positions, h.size, 1, ...slide(h), isSigned)
    new Uint8Array(out.buffer, out.byteOffset, out.length).set(bytes.subarray(to, to + out.length))
    this.#top = mark
    return true
  }

  mark(): number {
    return this.#top
  }

  release(mark: number): void {
    this.#top = mark
  }

  async close(): Promise<void> {
    await this.#pool?.release()
    this.#pool = undefined
  }

  #run(work: PooledWork): void {
    if (!this.#threads || work.units === 1) {
      this.#exports.run(work.address, 0, work.units, work.scratch)
    } else {
      this.#pool ??= this.#threads.start()
      this.#pool.run(work)
    }
  }

  #take(bytes: number): number {
    const address = this.#top
    this.#top = Math.ceil((address + bytes) / ALIGNMENT) * ALIGNMENT
    const missing = this.#top - this.#memory.buffer.byteLength
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE))
    return address
  }
}

/** What is compiled already, by its bytes. */
const compiled = new Map<string, WebAssembly.Module | null>()

function moduleOf(wasm: string): WebAssembly.Module | null {
  const known = compiled.get(wasm)
  if (known !== undefined) return known
  const made = compile(wasm)
  compiled.set(wasm, made)
  return made
}

function compile(wasm: string): WebAssembly.Module | null {
  try {
    return new WebAssembly.Module(Uint8Array.from(atob(wasm), (c) => c.charCodeAt(0)))
  } catch {
    // No WebAssembly, none with vectors or threads, or none that may be compiled here.
    return null
  }
}

/** The fastest kernels that run here in one thread. Each call gives kernels with memory of their own. */
export function fastKernels(): Kernels {
  const module = moduleOf(KERNELS_WASM)
  return module ? new WasmKernels(module, new WebAssembly.Memory({ initial: FIRST_PAGES })) : plainKernels
}

/**
 * The same in several threads that the host starts, or in one where memory cannot be shared. `close` ends them.
 * @param leastWork products from which on a layer is shared.
 */
export function pooledKernels(startPool: StartPool, threads: number, leastWork = LEAST_WORK): Kernels {
  const module = threads > 1 && typeof SharedArrayBuffer !== 'undefined' ? moduleOf(SHARED_KERNELS_WASM) : null
  if (!module) return fastKernels()
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared: true })
  const parts = { module, memory, threads, controlWords: RESERVED / 4 }
  return new WasmKernels(module, memory, { threads, leastWork, start: () => startPool(parts) })
}
