import { invariant } from '../../../util/index.ts'
import { DOTS_WASM } from './generated/dots-wasm.ts'
import { type Kernels, paddedLength, type Rows } from './kernels.ts'
import { plainKernels } from './plain.ts'

interface Exports {
  dots(a: number, m: number, b: number, n: number, rowBytes: number, out: number): void
}

const PAGE = 65536
const ALIGNMENT = 16

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

/** Kernels with vector instructions: eight products of 16 bits at a time. Memory is a stack that `release` pops. */
class WasmKernels implements Kernels {
  readonly name = 'wasm'
  readonly #memory: WebAssembly.Memory
  readonly #exports: Exports
  #top = ALIGNMENT

  constructor(module: WebAssembly.Module) {
    this.#memory = new WebAssembly.Memory({ initial: 16 })
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.#memory } })
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

  mark(): number {
    return this.#top
  }

  release(mark: number): void {
    this.#top = mark
  }

  #take(bytes: number): number {
    const address = this.#top
    this.#top = Math.ceil((address + bytes) / ALIGNMENT) * ALIGNMENT
    const missing = this.#top - this.#memory.buffer.byteLength
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE))
    return address
  }
}

let compiled: WebAssembly.Module | null | undefined

function moduleOf(): WebAssembly.Module | null {
  try {
    return new WebAssembly.Module(Uint8Array.from(atob(DOTS_WASM), (c) => c.charCodeAt(0)))
  } catch {
    // No WebAssembly, none with vectors, or none that may be compiled here.
    return null
  }
}

/** The fastest kernels that run here. Each call gives kernels with memory of their own. */
export function fastKernels(): Kernels {
  compiled ??= moduleOf()
  return compiled ? new WasmKernels(compiled) : plainKernels
}
