import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gauss, heavyTailed, rectified } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { statsOfBatches } from '../calibration/index.ts'
import { paramsFromRange, type QuantSpec, quantSpec } from '../quant/index.ts'
import { OBSERVERS, type ObserverName, observe } from './index.ts'

// Scales that MQBench, PPQ and MegEngine choose for deterministic data, from running them.
const FOLDER = fileURLToPath(new URL('../../../../../shared/reference/oracles', import.meta.url))

const SETS: Record<string, Float32Array[]> = {
  gauss1: [gauss(1)],
  heavy3: [heavyTailed(3)],
  relu4: [rectified(4)],
  gauss1then2: [gauss(1), gauss(2)],
}
const SPECS: Record<string, QuantSpec> = {
  S8: quantSpec({ bits: 8, signed: true, symmetric: true }),
  S4: quantSpec({ bits: 4, signed: true, symmetric: true }),
  A8: quantSpec({ bits: 8, signed: false, symmetric: false }),
  A4: quantSpec({ bits: 4, signed: false, symmetric: false }),
}

const read = (file: string): Record<string, number[]> => JSON.parse(readFileSync(`${FOLDER}/${file}.json`, 'utf8'))

function paramsOf(set: string, observer: ObserverName, spec: QuantSpec, options = {}) {
  const stats = statsOfBatches(SETS[set] as Float32Array[], OBSERVERS[observer].wants)
  return paramsFromRange(observe(observer, stats, spec, options), spec)
}

/** Our names, with options where our defaults are others. */
const MQBENCH = [
  ['MinMax', 'minmax', {}],
  ['EMAMinMax', 'ema-minmax', {}],
  ['EMAQuantile', 'ema-quantile', {}],
  ['LSQ', 'lsq', {}],
  ['EMAMSE', 'ema-mse', {}],
  ['MSE', 'lp', { p: 2 }],
] as const

describe.skipIf(!existsSync(FOLDER))('published scales', () => {
  const oracle = existsSync(FOLDER) ? read('mqbench_observers_65536') : {}
  const cases = MQBENCH.flatMap(([theirs, ours, options]) =>
    Object.keys(SETS).flatMap((set) => Object.keys(SPECS).map((spec) => [set, theirs, spec, ours, options] as const)),
  )
    // Their MSE unites the ranges of batches, and their LSQ forgets all but the last; ours look at all elements together.
    .filter(([set, theirs]) => (theirs !== 'MSE' && theirs !== 'LSQ') || set !== 'gauss1then2')

  it.each(cases)('%s.%s.%s is what %s chooses', (set, theirs, spec, ours, options) => {
    const [scale, zeroPoint] = oracle[`${set}.${theirs}.${spec}`] as [number, number]
    const params = paramsOf(set, ours, SPECS[spec] as QuantSpec, options)
    expect(Math.abs(params.scale / scale - 1)).toBeLessThan(1e-6)
    // LSQ's zero point is left beyond the codes there, and clipped here.
    expect(params.zeroPoint).toBe(Math.min(zeroPoint, (SPECS[spec] as QuantSpec).quantMax))
  })

  it.each(Object.keys(SETS))('of powers of two for %s', (set) => {
    const spec = SPECS.S8 as QuantSpec
    for (const form of ['tensor', 'param', 'input']) {
      const options = form === 'input' ? { tries: 1 } : {}
      expect(paramsOf(set, 'pot-search', spec, options).scale).toBe(oracle[`${set}.MinMaxFloor.${form}`]?.[0])
      expect(paramsOf(set, 'pot-mode', spec, options).scale).toBe(oracle[`${set}.PoTMode.${form}`]?.[0])
    }
    const rounded = { ...spec, powerOfTwo: 'round' } as const
    expect(paramsOf(set, 'minmax', rounded).scale).toBe(oracle[`${set}.MinMaxPOT.S8`]?.[0])
  })

  it('of LSQ+ are half of the paper’s, whose divisor is 2^(b − 1)', () => {
    for (const set of ['gauss1', 'heavy3', 'relu4']) {
      for (const spec of ['S8', 'S4']) {
        const theirs = oracle[`${set}.LSQPlus.${spec}`]?.[0] as number
        expect(Math.abs(paramsOf(set, 'lsq-plus', SPECS[spec] as QuantSpec).scale / theirs / 2 - 1)).toBeLessThan(1e-6)
      }
    }
  })

  it('of LSQ are those of the last batch', () => {
    const stats = statsOfBatches([gauss(2)], ['moments'])
    const { scale } = paramsFromRange(observe('lsq', stats, SPECS.S8 as QuantSpec), SPECS.S8 as QuantSpec)
    expect(scale / (oracle['gauss1then2.LSQ.S8']?.[0] as number)).toBeCloseTo(1, 6)
  })

  it('of ClipStd share the bound that widens there and clips here', () => {
    // relu4 has no value below zero; theirs goes down to mean − 2.6 σ, which is our lower bound of the same data moved up.
    const [, , lo] = oracle['relu4.ClipStd.A8'] as [number, number, number]
    const moved = rectified(4).map((x) => x - 2)
    const stats = statsOfBatches([moved], ['moments'])
    const range = observe('clip-std', { ...stats, min: -9 }, SPECS.A8 as QuantSpec)
    expect(range.lo + 2).toBeCloseTo(lo, 5)
  })

  it('of MegEngine’s moving average', () => {
    const { 'gauss1then2.ExponentialMovingAverageObserver.qint8': theirs } = read('megengine_observers_65536')
    expect(paramsOf('gauss1then2', 'ema-minmax', SPECS.S8 as QuantSpec).scale / (theirs?.[0] as number)).toBeCloseTo(
      1,
      6,
    )
  })
})

it.each([
  [1, 0.27869945764541626],
  [2, 0.3303104341030121],
  [2.4, 0.3509548604488373],
  [3, 0.3767603635787964],
])('lp with p = %f chooses the published scale of 4 bits', (p, scale) => {
  expect(paramsOf('gauss1', 'lp', SPECS.S4 as QuantSpec, { p }).scale / scale).toBeCloseTo(1, 6)
})
