import { describe, expect, it } from 'vitest'
import { formatDiagnostic } from './diagnostics.ts'
import type { FewbitError } from './index.ts'
import { checkedOptions, namedIn, type OptionsOf, parseRequest } from './options.ts'

const KIND = { noun: 'optimizer', code: 'OPTIMIZER', option: 'optimizer' }
const sgd = {
  name: 'sgd',
  options: {
    momentum: { summary: 'share of the last step', default: 0, least: 0, most: 1 },
    nesterov: { summary: 'look ahead', default: false },
    decay: { summary: 'kind', default: 'coupled', choices: ['coupled', 'decoupled'] },
  } satisfies OptionsOf<{ momentum: number; nesterov: boolean; decay: string }>,
}
const ALL = { sgd }

function failure(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return (error as FewbitError).diagnostics.map(formatDiagnostic).join('\n')
  }
  return 'no error'
}

describe('options by name', () => {
  it('reads numbers, switches and bare words', () => {
    expect(parseRequest(KIND, 'sgd', ALL)).toEqual({ name: 'sgd' })
    expect(parseRequest(KIND, 'sgd: momentum=0.9, nesterov, decoupled', ALL)).toEqual({
      name: 'sgd',
      options: { momentum: 0.9, nesterov: true, decay: 'decoupled' },
    })
    expect(parseRequest(KIND, 'sgd:nesterov=false', ALL)).toEqual({ name: 'sgd', options: { nesterov: false } })
  })

  it('puts what is given over the defaults', () => {
    expect(checkedOptions(KIND, sgd, { momentum: 1 })).toEqual({ momentum: 1, nesterov: false, decay: 'coupled' })
  })

  it('refuses what does not exist or does not fit, under the codes of its kind', () => {
    expect(failure(() => namedIn(KIND, 'toString', ALL))).toBe(
      'error OPTIMIZER_UNKNOWN  there is no optimizer "toString"\n  at  option optimizer\n  fix choose one of sgd',
    )
    const refused = (options: object) => failure(() => checkedOptions(KIND, sgd, { ...options }))
    expect(refused({ momentum: 1.5 })).toMatch(/OPTIMIZER_OPTION .*"momentum" must be from 0 to 1, not 1.5/)
    expect(refused({ momentum: '0.9' })).toMatch(/must be a number/)
    expect(refused({ decay: 'both' })).toMatch(/must be one of coupled, decoupled/)
    expect(refused({ speed: 1 })).toMatch(/there is no option "speed"[\s\S]*its options: momentum, nesterov, decay/)
    expect(failure(() => parseRequest(KIND, 'sgd:fast', ALL))).toMatch(/"fast" is neither a switch nor a value/)
  })
})
