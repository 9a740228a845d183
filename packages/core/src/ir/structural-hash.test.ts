import { describe, expect, it } from 'vitest'
import { cloneModel } from './clone.ts'
import { parseModel } from './parse-text.ts'
import { structuralHash } from './structural-hash.ts'

const hashOf = (text: string) => structuralHash(parseModel(text))
const BASE = `g (float32[2] x, bool c) => (y) <float32[2] w = {1, 2}> {
  a = Relu(x)
  b = Neg<k = 1>(x)
  d = Add(a, w)
  e = If<then_branch = graph t () => (r) { r = Mul(d, b) }>(c)
  y = Sub(d, e)
}`

describe('structuralHash', () => {
  it('does not depend on inner names or on the order of independent nodes', () => {
    const other = `h (float32[2] x, bool c) => (y) <float32[2] weight = {1, 2}> {
      [first] q = Neg<k = 1>(x)
      p = Relu(x)
      d = Add(p, weight)
      e = If<then_branch = graph u () => (s) { s = Mul(d, q) }>(c)
      y = Sub(d, e)
    }`
    expect(hashOf(other)).toBe(hashOf(BASE))
    expect(structuralHash(cloneModel(parseModel(BASE)))).toBe(hashOf(BASE))
  })

  it.each([
    ['an operator', 'Relu(x)', 'Abs(x)'],
    ['an attribute', 'k = 1', 'k = 2'],
    ["an attribute's kind", 'k = 1', 'k = 1.0'],
    ['wiring', 'Sub(d, e)', 'Sub(e, d)'],
    ['wiring inside a branch', 'Mul(d, b)', 'Mul(d, a)'],
    ['a weight', '{1, 2}', '{1, 3}'],
    ['a type', 'float32[2] x', 'float32[3] x'],
    ['the interface', 'x, bool c) => (y)', 'x, bool c) => (y, d)'],
    ['a dead node', 'y = Sub', 'dead = Relu(x) y = Sub'],
    ['a duplicate of a node', 'y = Sub', 'twin = Relu(x) y = Sub'],
    ['an unused weight', '<float32[2] w', '<float32[1] unused = {0}, float32[2] w'],
    ['the opset', 'g (', '<opset_import = ["": 20]> g ('],
  ])('changes with %s', (_, from, to) => {
    const changed = BASE.replace(from, to)
    expect(changed).not.toBe(BASE)
    expect(hashOf(changed)).not.toBe(hashOf(BASE))
  })
})
