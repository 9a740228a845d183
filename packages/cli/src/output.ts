import type { Writable } from 'node:stream'

/** Where a command prints: results to stdout, everything else to stderr. */
export interface Console {
  readonly out: Writable
  readonly err: Writable
  readonly isTerminal: boolean
}

export const processConsole: Console = {
  out: process.stdout,
  err: process.stderr,
  // Pseudo-terminals of containers and build servers may have no columns to draw bars in.
  isTerminal: process.stderr.isTTY && process.stderr.columns > 0 && !process.env.CI,
}

/**
 * Ends the program when nobody takes its output: quietly for a reader such as `head` that has seen enough, with a message when
 * the output goes to a full disk.
 */
export function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    process.stderr.write(`error OUTPUT  the result cannot be printed: ${error.message}\n`)
    process.exit(1)
  })
  // Without stderr there is nobody to tell; the work goes on.
  process.stderr.on('error', () => undefined)
}

/** JSON with infinities and NaN as strings, because JSON has no word for them and `null` would hide them. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_, v) => {
      if (typeof v === 'bigint') return v.toString()
      if (v instanceof Map) return Object.fromEntries(v)
      if (v instanceof RegExp) return v.toString()
      return typeof v === 'number' && !Number.isFinite(v) ? String(v) : v
    },
    2,
  )
}
