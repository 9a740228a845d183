import { describe, expect, it } from 'vitest'
import { plainKernels } from './plain.ts'
import { channelsLast, saturableShare, saturatingKernels } from './saturating.ts'

function rowsOf(values: readonly number[]) {
  const rows = plainKernels.rows(1, values.length)
  rows.data.set(values)
  return rows
}

describe('saturating pairs', () => {
  it('add neighbours in 16 bits, and pairs in 32', () => {
    const [x, w] = [rowsOf([255, 255, 255, 255, 255]), rowsOf([127, 127, -128, -128, 100])]
    const order = Int32Array.of(0, 1, 2, 3, 4)
    // 255 · 127 · 2 = 64770 and −255 · 128 · 2 = −65280 saturate; 25500 has no neighbour.
    expect([...saturatingKernels.dots(x, w, order)]).toEqual([32767 - 32768 + 25500])
    // Other neighbours: 255 · (127 − 128) twice.
    expect([...saturatingKernels.dots(x, w, Int32Array.of(0, 2, 1, 3, 4))]).toEqual([-255 - 255 + 25500])
    expect([...saturatingKernels.dots(x, w)]).toEqual([...plainKernels.dots(x, w)])
  })

  it('meet channels first', () => {
    // Three channels of two places: stored c0p0 c0p1 c1p0 c1p1 c2p0 c2p1.
    expect([...channelsLast(6, 2)]).toEqual([0, 2, 4, 1, 3, 5])
  })

  it('can saturate from magnitudes of 129 on', () => {
    const order = Int32Array.of(0, 1, 2, 3)
    expect(saturableShare([64, 64, 100, 29], 1, 4, order)).toBe(0.5)
    expect(saturableShare([-64, -64, -100, -29], 1, 4, order)).toBe(0.5)
    expect(saturableShare([127, -127, 127, -127], 1, 4, order)).toBe(0)
  })
})
