import { describe, expect, it } from 'vitest'
import { parseFixedInput } from './fixed-inputs.ts'

describe('--fix-input', () => {
  it('reads a name and numbers, several times', () => {
    expect(parseFixedInput('state=0,1.5,-2', parseFixedInput('a=b=16000'))).toEqual({
      'a=b': 16000,
      state: [0, 1.5, -2],
    })
  })

  it.each(['sr', '=3', 'sr=', 'sr=high', 'sr=1,,2'])('refuses %s', (text) => {
    expect(() => parseFixedInput(text)).toThrow(/such as sr=16000/)
  })
})
