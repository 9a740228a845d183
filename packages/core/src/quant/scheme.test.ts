import { describe, expect, it } from 'vitest'
import { onnxruntime } from '../targets/onnxruntime.ts'
import { parseScheme, schemeRules } from './scheme.ts'

describe('schemes on a target', () => {
  it('takes the symmetry from the target and the bits from the scheme', () => {
    const { weights, activations } = schemeRules(parseScheme('w4a16'), onnxruntime)
    expect(weights).toMatchObject({ bits: 4, signed: true, symmetric: true, narrow: false })
    expect(activations).toMatchObject({ bits: 16, signed: false, symmetric: false })
  })

  it('cuts nothing off weights of 4 to 7 bits, and keeps the finer grid below', () => {
    const both = (scheme: string) => schemeRules(parseScheme(scheme), onnxruntime).weights?.bothEnds ?? false
    expect(['w8a8', 'w7a8', 'w4a8', 'w4g32', 'w3a8'].map(both)).toEqual([false, true, true, true, false])
    expect(schemeRules(parseScheme('w4a4'), onnxruntime).activations?.bothEnds).toBeUndefined()
  })

  it('refuses activations that the backend would not clip at their width', () => {
    expect(() => schemeRules(parseScheme('w6a6'), onnxruntime)).toThrow(/SCHEME_UNSUPPORTED.*activations of 6 bits/s)
  })

  it('refuses weights in a type without kernels', () => {
    expect(() => schemeRules(parseScheme('w2a8'), onnxruntime)).toThrow(/SCHEME_UNSUPPORTED.*weights of 2 bits/s)
  })
})
