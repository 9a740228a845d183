import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { PASSES } from '@fewbit/core/passes'
import type { Target } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { describe, expect, it } from 'vitest'
import { accuracyTable } from '../../scripts/docs/accuracy.ts'
import { exactnessTables } from '../../scripts/docs/exactness.ts'
import { qatTables } from '../../scripts/docs/qat.ts'
import {
  algorithmTable,
  arithmeticTable,
  observerTable,
  operatorsPage,
  passTable,
  withTable,
  zooTable,
} from '../../scripts/docs/tables.ts'
import { targetRules, targetsIndex } from '../../scripts/docs/targets.ts'

const page = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8')

describe('pages written by npm run docs', () => {
  it('hold every operator as it is registered', () => {
    expect(page('operators.md')).toBe(operatorsPage())
  })

  it('hold every pass as it is registered', () => {
    expect(page('passes.md')).toBe(withTable(page('passes.md'), passTable()))
  })

  it('hold every observer as it is registered', () => {
    expect(page('observers.md')).toBe(withTable(page('observers.md'), observerTable()))
  })

  it('hold every algorithm as it is registered', () => {
    expect(page('algorithms.md')).toBe(withTable(page('algorithms.md'), algorithmTable()))
  })

  it('hold every arithmetic of whole numbers', () => {
    expect(page('integer.md')).toBe(withTable(page('integer.md'), arithmeticTable()))
  })

  it('hold every network of the zoo', () => {
    expect(page('zoo.md')).toBe(withTable(page('zoo.md'), zooTable()))
  })

  it('hold what was measured of every backend', () => {
    expect(page('targets/accuracy.md')).toBe(withTable(page('targets/accuracy.md'), accuracyTable()))
  })

  it('hold what engines computed of the same codes', () => {
    expect(page('exactness.md')).toBe(withTable(page('exactness.md'), exactnessTables()))
  })

  it('hold what was measured of every method of training', () => {
    expect(page('qat-benchmark.md')).toBe(withTable(page('qat-benchmark.md'), qatTables()))
  })

  it('hold every backend as its table says', () => {
    expect(page('targets.md')).toBe(withTable(page('targets.md'), targetsIndex()))
    for (const target of Object.values<Target>(TARGETS)) {
      const name = target.source.replace('docs/', '')
      expect(page(name)).toBe(withTable(page(name), targetRules(target)))
    }
  })
})

describe('docs/passes.md', () => {
  it('explains every pass below its table, and none that does not exist', () => {
    const prose = page('passes.md').split('<!-- end -->')[1] ?? ''
    const explained = [...prose.matchAll(/\*\*([a-z-]+)\.?\*\*/g)].map(([, name]) => name)
    expect(explained.sort()).toEqual(Object.keys(PASSES).sort())
  })
})
