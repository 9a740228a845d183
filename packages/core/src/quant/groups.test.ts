import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Groups } from './groups.ts'

describe('Groups', () => {
  it('partitions like colouring by repeated relabelling', () => {
    const pair = fc.tuple(fc.nat(20), fc.nat(20))
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 40 }), (unions) => {
        const groups = new Groups<number>()
        const colour = Array.from({ length: 21 }, (_, i) => i)
        for (const [a, b] of unions) {
          groups.union(a, b)
          const [to, from] = [colour[a], colour[b]]
          colour.forEach((c, i) => {
            if (c === from) colour[i] = to as number
          })
        }
        for (let a = 0; a <= 20; a++) {
          for (let b = 0; b <= 20; b++) expect(groups.same(a, b)).toBe(colour[a] === colour[b])
        }
      }),
    )
  })
})
