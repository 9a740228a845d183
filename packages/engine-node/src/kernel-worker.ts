/** Words of the memory's start by which threads agree. */
export const WORD = {
  /** Counts jobs; workers sleep on it. */
  generation: 0,
  /** Units that nobody has claimed. */
  left: 1,
  done: 2,
  failed: 3,
  stop: 4,
  address: 5,
  units: 6,
  scratch: 7,
  scratchBytes: 8,
} as const

export interface WorkerParts {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  /** 0 is the caller's. */
  readonly thread: number
  readonly WORD: typeof WORD
}

/** What a worker does until it is stopped. It is sent as text, so that it sees nothing from around it. */
export function kernelWorker({ module, memory, thread, WORD }: WorkerParts): void {
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports.run as (...numbers: number[]) => void
  // Words stay where they are when the memory grows.
  const words = new Int32Array(memory.buffer)
  let generation = 0
  while (Atomics.load(words, WORD.stop) === 0) {
    Atomics.wait(words, WORD.generation, generation)
    generation = Atomics.load(words, WORD.generation)
    for (let unit = Atomics.sub(words, WORD.left, 1); unit > 0; unit = Atomics.sub(words, WORD.left, 1)) {
      // Read behind the claim: they are those of the job that the unit belongs to.
      const scratch = (words[WORD.scratch] as number) + thread * (words[WORD.scratchBytes] as number)
      try {
        run(words[WORD.address] as number, unit - 1, unit, scratch)
      } catch {
        Atomics.add(words, WORD.failed, 1)
      }
      const units = words[WORD.units] as number
      if (Atomics.add(words, WORD.done, 1) + 1 === units) Atomics.notify(words, WORD.done)
    }
  }
}
