/** Checks a promise that fewbit makes to itself. A failure is our fault, never the user's, and says so. */
export function invariant(condition: unknown, message: () => string): asserts condition {
  if (!condition) throw new Error(`internal: ${message()}`)
}

/** For lookups that cannot miss: the value, or an internal error that names what was looked up. */
export function must<T>(value: T | null | undefined, what: string): T {
  invariant(value !== null && value !== undefined, () => `missing ${what}`)
  return value
}
