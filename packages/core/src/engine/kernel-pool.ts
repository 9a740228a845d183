/** Work of one layer in shared memory, cut into units that may run side by side in any order. */
export interface PooledWork {
  /** Of the job that the units belong to. */
  readonly address: number
  readonly units: number
  /** Room for the first thread; that of the others follows. */
  readonly scratch: number
  readonly scratchBytes: number
}

/** What threads need: kernels whose `run(job, first, end, scratch)` runs units of a job, and the memory that they all see. */
export interface PoolParts {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  /** The caller's own thread among them. */
  readonly threads: number
  /** Words at the start of the memory that belong to the pool. */
  readonly controlWords: number
}

/** Threads that run units of work. */
export interface KernelPool {
  readonly threads: number
  /**
   * Runs all units, the caller's thread among the others, and returns when they are done.
   * @throws FewbitError INTEGER_THREAD where a unit failed or a thread died.
   */
  run(work: PooledWork): void
  /** Ends the threads. */
  release(): Promise<void>
}

/** The host's way to start threads. */
export type StartPool = (parts: PoolParts) => KernelPool
