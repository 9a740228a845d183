import { describe, expect, it } from 'vitest'
import { EXPORTERS } from '../exporters/index.ts'
import { defaultOps } from '../ops/index.ts'
import { findTarget, TARGETS } from './index.ts'

describe.each(Object.entries(TARGETS))('target %s', (name, target) => {
  it('goes by its own name and names exporters that exist', () => {
    expect(target.name).toBe(name)
    expect(target.exporters.filter((e) => !Object.hasOwn(EXPORTERS, e))).toEqual([])
  })

  it('speaks of operators that exist', () => {
    const types = new Set([...Object.keys(target.ops), ...Object.entries(target.fuse).flat(2)])
    expect([...types].filter((type) => !defaultOps.get('', type))).toEqual([])
  })

  it('moves codes only through operators that keep elements, and sums only through those that accumulate', () => {
    for (const [type, rule] of Object.entries(target.ops)) {
      const traits = defaultOps.get('', type)?.quant.traits ?? []
      if (rule.mode === 'pass') expect([type, traits]).toEqual([type, expect.arrayContaining(['scale-preserving'])])
      if (rule.floatOutput) expect([type, traits]).toEqual([type, expect.arrayContaining(['accumulates'])])
    }
  })
})

describe('findTarget', () => {
  it('finds by name, and lists the known ones otherwise', () => {
    expect(findTarget('onnxruntime')).toBe(TARGETS.onnxruntime)
    expect(() => findTarget('toString')).toThrow(/TARGET_UNKNOWN[\s\S]*onnxruntime/)
  })
})
