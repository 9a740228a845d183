import { Worker } from 'node:worker_threads'
import type { KernelPool, PooledWork, PoolParts } from '@fewbit/core/engine'
import { problem } from '@fewbit/core/util'
import { kernelWorker, WORD, type WorkerParts } from './kernel-worker.ts'

interface Exports {
  run(job: number, first: number, end: number, scratch: number): void
}

/** A thread that makes no progress for so long is given up. */
const STALLED_MS = 60_000

/**
 * Worker threads on shared memory. Units are claimed one by one, so that a thread that the system runs late leaves its share to the others:
 * the caller claims too, and with workers that never start it does all the work itself.
 */
export function startKernelPool(parts: PoolParts): KernelPool {
  return new NodePool(parts)
}

class NodePool implements KernelPool {
  readonly threads: number
  readonly #words: Int32Array
  readonly #exports: Exports
  readonly #workers: readonly Worker[]
  #failure: unknown

  constructor({ module, memory, threads, controlWords }: PoolParts) {
    this.threads = threads
    this.#words = new Int32Array(memory.buffer, 0, controlWords)
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports
    this.#workers = Array.from({ length: threads - 1 }, (_, i) => this.#start({ module, memory, thread: i + 1, WORD }))
  }

  run(work: PooledWork): void {
    if (this.#failure !== undefined) throw failed(this.#failure)
    const words = this.#words
    words[WORD.address] = work.address
    words[WORD.units] = work.units
    words[WORD.scratch] = work.scratch
    words[WORD.scratchBytes] = work.scratchBytes
    Atomics.store(words, WORD.done, 0)
    Atomics.store(words, WORD.failed, 0)
    // Last: a worker that is still awake claims from now on.
    Atomics.store(words, WORD.left, work.units)
    Atomics.add(words, WORD.generation, 1)
    Atomics.notify(words, WORD.generation)
    const error = this.#share(work)
    this.#wait(work.units)
    if (error !== undefined || Atomics.load(words, WORD.failed) > 0) throw failed(error)
  }

  /** The caller's share. @returns what was thrown first. */
  #share({ address, scratch }: PooledWork): unknown {
    const words = this.#words
    let error: unknown
    for (let unit = Atomics.sub(words, WORD.left, 1); unit > 0; unit = Atomics.sub(words, WORD.left, 1)) {
      try {
        this.#exports.run(address, unit - 1, unit, scratch)
      } catch (cause) {
        error ??= cause
      }
      Atomics.add(words, WORD.done, 1)
    }
    return error
  }

  #wait(units: number): void {
    for (let done = Atomics.load(this.#words, WORD.done); done < units; ) {
      const outcome = Atomics.wait(this.#words, WORD.done, done, STALLED_MS)
      const now = Atomics.load(this.#words, WORD.done)
      if (outcome === 'timed-out' && now === done) {
        this.#failure = new Error(`no progress for ${STALLED_MS / 1000} s`)
        throw failed(this.#failure)
      }
      done = now
    }
  }

  async release(): Promise<void> {
    Atomics.store(this.#words, WORD.stop, 1)
    Atomics.add(this.#words, WORD.generation, 1)
    Atomics.notify(this.#words, WORD.generation)
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }

  #start(parts: WorkerParts): Worker {
    // As text: the file that a worker would run is another one in sources, in the build and in bundles.
    const worker = new Worker(`(${kernelWorker})(require('node:worker_threads').workerData)`, {
      eval: true,
      workerData: parts,
      name: 'fewbit kernels',
      execArgv: [],
    })
    worker.unref()
    worker.on('error', (error) => {
      this.#failure = error
    })
    return worker
  }
}

const failed = (cause: unknown) =>
  problem(
    'INTEGER_THREAD',
    `a thread of the integer kernels failed${cause instanceof Error ? `: ${cause.message}` : ''}`,
    {
      fix: 'run with one thread (--threads 1)',
    },
  )
