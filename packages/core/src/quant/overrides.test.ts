import { describe, expect, it } from 'vitest'
import { matches, overrideText, parseOverride } from './overrides.ts'
import { parseScheme } from './scheme.ts'

describe('parseOverride', () => {
  it.each([
    ['name=/^fc/:float', { match: { name: /^fc/ }, scheme: 'float' }],
    ['op=Softmax:float', { match: { op: 'Softmax' }, scheme: 'float' }],
    ['name=conv1:observer=mse', { match: { name: 'conv1' }, observer: 'mse' }],
    [
      'op=Conv,name=/a:b,c/i:w8a16,granularity=tensor',
      { match: { op: 'Conv', name: /a:b,c/i }, scheme: 'w8a16', granularity: 'tensor' },
    ],
    // PyTorch's exporter names nodes with slashes: not a pattern, since nothing but a name follows the last one.
    ['name=/model/conv1/Conv:float', { match: { name: '/model/conv1/Conv' }, scheme: 'float' }],
    ['name=/model\\/conv/:w4a8', { match: { name: /model\/conv/ }, scheme: 'w4a8' }],
  ])('reads %s', (text, expected) => {
    expect(parseOverride(text)).toEqual(expected)
  })

  it.each([
    'name=conv1',
    'conv1:float',
    'colour=red:float',
    'name=a:depth=3',
    'name=a:granularity=row',
    'name=/(/:float',
    ':float',
  ])('refuses %s and shows how to write it', (text) => {
    expect(() => parseOverride(text)).toThrow(/OVERRIDE_SYNTAX[\s\S]*name=\/\^fc\/:float/)
  })

  it('refuses a scheme that does not exist', () => {
    expect(() => parseOverride('name=a:w9a8')).toThrow(/SCHEME_UNKNOWN/)
  })

  it('says itself again', () => {
    for (const text of ['name=/^fc/:float', 'name=a,op=Conv:w8a16,observer=mse']) {
      expect(overrideText(parseOverride(text))).toBe(text)
    }
  })
})

describe('matches', () => {
  it('asks for every condition, and is not moved by a pattern that remembers', () => {
    const both = parseOverride('name=/conv/,op=Conv:float')
    expect(matches(both, 'conv1', 'Conv')).toBe(true)
    expect(matches(both, 'conv1', 'Gemm')).toBe(false)
    const sticky = { match: { name: /conv/g } }
    expect([matches(sticky, 'conv1', ''), matches(sticky, 'conv1', '')]).toEqual([true, true])
  })

  it('takes plain names exactly', () => {
    expect(matches({ match: { name: 'conv1' } }, 'conv12', 'Conv')).toBe(false)
  })
})

describe('parseScheme', () => {
  it.each([
    ['w8a8', { name: 'w8a8', weights: { bits: 8 }, activations: { bits: 8 } }],
    ['w4a16', { name: 'w4a16', weights: { bits: 4 }, activations: { bits: 16 } }],
    ['w1a4', { name: 'w1a4', weights: { bits: 1 }, activations: { bits: 4 } }],
    ['w16a16', { name: 'w16a16', weights: { bits: 16 }, activations: { bits: 16 } }],
    ['w4g32', { name: 'w4g32', weights: { bits: 4, group: 32 } }],
    ['float', { name: 'float' }],
  ])('reads %s', (text, expected) => {
    expect(parseScheme(text)).toEqual(expected)
  })

  it.each(['int8', 'w0a8', 'w9a8', 'w1a1', 'w8a12', 'w4g20', 'a8', 'W8A8', ''])('refuses "%s"', (text) => {
    expect(() => parseScheme(text)).toThrow(/SCHEME_UNKNOWN/)
  })
})
