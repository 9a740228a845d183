import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { problem } from '@fewbit/core/util'

const LENGTH_BYTES = 8
/** Milliseconds that a program has to end by itself. */
const PATIENCE = 2000

/** A program in Python that obeys orders over its pipes. */
export class PythonHost {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #python: string
  #received = Buffer.alloc(0)
  #waiting: { resolve: (answer: Uint8Array) => void; reject: (error: Error) => void } | undefined
  #failure: Error | undefined

  constructor(python: string, args: readonly string[]) {
    this.#python = python
    // A group of its own: libraries fork helpers, which hold the pipes and have to end with it.
    this.#child = spawn(python, args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
    process.once('exit', this.#kill)
    this.#child.on('error', (error) => this.#fail(error.message))
    this.#child.on('close', (code) =>
      this.#fail(code === null ? 'it was ended by a signal' : `it ended with code ${code}`),
    )
    // A program that is gone takes no more orders; `close` says why.
    this.#child.stdin.on('error', () => undefined)
    this.#child.stdout.on('data', (part: Buffer) => {
      this.#received = Buffer.concat([this.#received, part])
      this.#deliver()
    })
  }

  ask(order: Uint8Array): Promise<Uint8Array> {
    const size = Buffer.alloc(LENGTH_BYTES)
    size.writeBigUInt64BE(BigInt(order.length))
    this.#child.stdin.write(size)
    this.#child.stdin.write(order)
    return this.answer()
  }

  answer(): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      this.#waiting = { resolve, reject }
      this.#deliver()
    })
  }

  /** Lets the program end by itself, then ends what is left of it. */
  async close(): Promise<void> {
    process.removeListener('exit', this.#kill)
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end()
    if (this.#child.exitCode === null && this.#child.pid !== undefined)
      await Promise.race([ended, wait(PATIENCE, undefined, { ref: false })])
    this.#kill()
    this.#child.stdin.destroy()
    this.#child.stdout.destroy()
  }

  readonly #kill = (): void => {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // Nothing of it is left.
    }
  }

  #deliver(): void {
    if (!this.#waiting || this.#received.length < LENGTH_BYTES) return
    const end = LENGTH_BYTES + Number(this.#received.readBigUInt64BE())
    if (this.#received.length < end) return
    const answer = new Uint8Array(this.#received.subarray(LENGTH_BYTES, end))
    this.#received = this.#received.subarray(end)
    const { resolve } = this.#waiting
    this.#waiting = undefined
    resolve(answer)
  }

  #fail(why: string): void {
    this.#failure ??= problem('ENGINE_RUN', `the Python program does not run: ${why}`, {
      fix: `see that "${this.#python}" runs, or name another interpreter in FEWBIT_PYTHON`,
    })
    this.#waiting?.reject(this.#failure)
    this.#waiting = undefined
  }
}
