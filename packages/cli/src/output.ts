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
  isTerminal: Boolean(process.stderr.isTTY) && !process.env.CI,
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
