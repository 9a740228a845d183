import { describe, expect, it } from 'vitest'
import { sortedBy } from './sorted.ts'

const sort = (values: readonly (number | string | undefined)[], descending: boolean) =>
  sortedBy(values, (value) => value, descending)

describe('sorting rows', () => {
  it('puts broken layers below every number, exact ones above, and rows without a figure last', () => {
    const values = [3, undefined, Number.NaN, -Infinity, Infinity, 1]
    expect(sort(values, false)).toEqual([Number.NaN, -Infinity, 1, 3, Infinity, undefined])
    expect(sort(values, true)).toEqual([Infinity, 3, 1, -Infinity, Number.NaN, undefined])
  })

  it('counts in names', () => {
    expect(sort(['Conv_10', 'Conv_9', 'Add_2'], false)).toEqual(['Add_2', 'Conv_9', 'Conv_10'])
  })

  it('keeps the order of equal rows in both directions, and the given rows as they are', () => {
    const rows = [
      { id: 'a', db: 1 },
      { id: 'b', db: 0 },
      { id: 'c', db: 1 },
    ]
    const ids = (descending: boolean) => sortedBy(rows, ({ db }) => db, descending).map(({ id }) => id)
    expect(ids(false)).toEqual(['b', 'a', 'c'])
    expect(ids(true)).toEqual(['a', 'c', 'b'])
    expect(rows.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })
})
