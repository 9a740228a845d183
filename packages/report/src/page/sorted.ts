/** What rows are ordered by; undefined for a row that has no such figure. */
export type SortValue = number | string | undefined

/**
 * A copy of the rows in order of a key. Rows that are equal keep their order. Rows without a value come last either way; NaN, which
 * a broken layer has, stands below every number.
 */
export function sortedBy<T>(rows: readonly T[], key: (row: T) => SortValue, descending: boolean): T[] {
  const direction = descending ? -1 : 1
  return rows
    .map((row) => ({ row, value: key(row) }))
    .sort((a, b) => {
      if (a.value === undefined || b.value === undefined)
        return Number(a.value === undefined) - Number(b.value === undefined)
      return direction * compare(a.value, b.value)
    })
    .map(({ row }) => row)
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === 'string' || typeof b === 'string') return String(a).localeCompare(String(b), 'en', { numeric: true })
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a))
  return a === b ? 0 : a - b
}
