/** One thing that two recipes say differently. A side that says nothing of it is missing. */
export interface Difference {
  /** Such as `settings.overrides[0].scheme`. */
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

/** What differs between two JSON values, path by path, in the order of the first and then of the second. */
export function differences(before: unknown, after: unknown, path = ''): Difference[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    const longest = before.length > after.length ? before : after
    return longest.flatMap((_, i) => sides(before, after, i, `${path}[${i}]`))
  }
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...keys].flatMap((key) => sides(before, after, key, path ? `${path}.${key}` : key))
  }
  return Object.is(before, after) ? [] : [{ path, before, after }]
}

type Json = Readonly<Record<string | number, unknown>>

function sides(before: object, after: object, key: string | number, path: string): Difference[] {
  const [a, b] = [(before as Json)[key], (after as Json)[key]]
  if (!Object.hasOwn(before, key)) return [{ path, after: b }]
  if (!Object.hasOwn(after, key)) return [{ path, before: a }]
  return differences(a, b, path)
}

const isRecord = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
