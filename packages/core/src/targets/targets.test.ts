import { describe, expect, it } from 'vitest'
import { findTarget, TARGETS } from './index.ts'

describe('findTarget', () => {
  it('finds by name, and lists the known ones otherwise', () => {
    expect(findTarget('onnxruntime')).toBe(TARGETS.onnxruntime)
    expect(() => findTarget('toString')).toThrow(/TARGET_UNKNOWN[\s\S]*onnxruntime/)
  })
})
