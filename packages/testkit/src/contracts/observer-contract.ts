import { mergeStats, statsOf, statsOfBatches } from '@fewbit/core/calibration'
import type { Observer } from '@fewbit/core/observers'
import { type QuantSpec, quantSpec, type Range } from '@fewbit/core/quant'
import fc from 'fast-check'
import { gauss, heavyTailed, rectified } from '../lcg-data.ts'
import { type ContractCheck, demand, demandEqual } from './contract.ts'

/** Every grid from 2 to 8 bits, and of 16. */
const SPECS = [2, 3, 4, 5, 6, 7, 8, 16].flatMap((bits) => [
  quantSpec({ bits, signed: true, symmetric: true }),
  quantSpec({ bits, signed: false, symmetric: false }),
  quantSpec({ bits, signed: true, symmetric: true, narrow: true }),
  quantSpec({ bits, signed: true, symmetric: false }),
  quantSpec({ bits, signed: false, symmetric: true }),
])

/** Two are enough where the promise does not depend on the number of codes. */
const SOME_SPECS = [
  quantSpec({ bits: 8, signed: true, symmetric: true }),
  quantSpec({ bits: 4, signed: false, symmetric: false }),
]

/**
 * What every range chooser promises, with its default options, from the statistics that it wants and no others. One that looks at no
 * data owes nothing to them.
 */
export function observerContract<O extends object>(observer: Observer<O>): ContractCheck[] {
  const range = (values: Float32Array, spec: QuantSpec): Range =>
    observer.range(statsOf(values, observer.wants), spec, observer.defaults)
  const always = [
    { name: 'gives a finite range around zero for any data', run: () => finiteAroundZero(range) },
    { name: 'gives the same answer twice, and leaves the statistics alone', run: () => isPure(observer) },
  ]
  if (observer.passive) return always
  return [
    ...always,
    { name: 'covers constant, zero and single-element tensors exactly', run: () => coversThinData(range) },
    { name: 'scales with the data', run: () => scales(range) },
    { name: 'does not see how the data were split, unless it asks for their order', run: () => mergesParts(observer) },
  ]
}

type RangeOf = (values: Float32Array, spec: QuantSpec) => Range

function finiteAroundZero(range: RangeOf): void {
  const values = fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 1, maxLength: 50 })
  const property = fc.property(values, fc.constantFrom(...SPECS), (x, spec) => {
    const { lo, hi } = range(Float32Array.from(x), spec)
    return lo <= 0 && hi >= 0 && Number.isFinite(hi - lo)
  })
  fc.assert(property, { seed: 5, numRuns: 60 })
}

function coversThinData(range: RangeOf): void {
  for (const spec of SPECS) {
    demandEqual(range(new Float32Array(9), spec), { lo: 0, hi: 0 }, 'range of zeros')
    demandEqual(range(Float32Array.of(3.5, 3.5), spec), { lo: 0, hi: 3.5 }, 'range of a constant')
    demandEqual(range(Float32Array.of(-1.25), spec), { lo: -1.25, hi: 0 }, 'range of one element')
  }
}

function scales(range: RangeOf): void {
  for (const x of [gauss(1, 4096), heavyTailed(3, 4096), rectified(4, 4096)]) {
    for (const spec of SOME_SPECS) {
      const { lo, hi } = range(x, spec)
      // A power of two moves every histogram bin along, so that nothing is rounded.
      const scaled = x.map((v) => v * 64)
      demandEqual(range(scaled, spec), { lo: lo * 64, hi: hi * 64 }, 'range of 64 times the data')
    }
  }
}

/** Sums in another order differ in their last digits. */
const SUMS = 1e-9

function mergesParts<O extends object>(observer: Observer<O>): void {
  const { wants, defaults } = observer
  const [a, b] = [gauss(1, 4096), heavyTailed(3, 4096)]
  const isOrdered = wants.includes('series')
  const whole = isOrdered ? statsOfBatches([b, a], wants) : statsOf(Float32Array.from([...a, ...b]), wants)
  const parts = mergeStats(statsOf(b, wants), statsOf(a, wants))
  // Of rows, one made of both has other margins than two.
  if (wants.includes('margins')) return
  for (const spec of SOME_SPECS) {
    const [split, joined] = [parts, whole].map((stats) => observer.range(stats, spec, defaults)) as [Range, Range]
    const apart = Math.max(Math.abs(split.lo - joined.lo), Math.abs(split.hi - joined.hi))
    demand(apart <= SUMS * (joined.hi - joined.lo), () => `merged parts give ${JSON.stringify(split)}`)
  }
}

function isPure<O extends object>(observer: Observer<O>): void {
  const stats = statsOf(gauss(2, 4096), observer.wants)
  const before = structuredClone(stats)
  const [spec] = SOME_SPECS
  if (!spec) return
  const first = observer.range(stats, spec, observer.defaults)
  demandEqual(observer.range(stats, spec, observer.defaults), first, 'the second answer')
  demandEqual(stats, before, 'the statistics afterwards')
}
