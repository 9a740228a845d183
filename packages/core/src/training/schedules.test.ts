import { describe, expect, it } from 'vitest'
import type { FewbitError } from '../util/index.ts'
import {
  crossEntropy,
  OPTIMIZERS,
  parseLoss,
  parseOptimizer,
  parseSchedule,
  readLoss,
  readOptimizer,
  readSchedule,
  SCHEDULES,
} from './index.ts'

const rates = (text: string, total: number) => {
  const schedule = parseSchedule(text)
  return Array.from({ length: total }, (_, i) => schedule.factor({ step: i + 1, total }))
}
const close = (found: readonly number[], expected: readonly number[]) =>
  expect(found.map((v) => Number(v.toFixed(9)))).toEqual(expected.map((v) => Number(v.toFixed(9))))

describe('schedules', () => {
  it('follow their formulas', () => {
    close(rates('constant', 3), [1, 1, 1])
    close(rates('linear', 4), [1, 0.75, 0.5, 0.25])
    close(rates('linear:end=0.2', 4), [1, 0.8, 0.6, 0.4])
    close(rates('cosine', 4), [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2])
    close(rates('step:gamma=0.5,at=0.5|3', 4), [1, 1, 0.5, 0.25])
  })

  it('warm up as MQBench does: linearly from a first rate at step 1 to the full one at the last step of the warm-up', () => {
    // From 1e-4 to 4e-3 in 4 steps: slope (4e-3 − 1e-4)/3.
    const expected = [1e-4, 1e-4 + 1.3e-3, 1e-4 + 2.6e-3, 4e-3, 4e-3, 2e-3]
    close(
      rates('cosine:warmup=4,warmupFrom=0.025', 6).map((f) => f * 4e-3),
      expected,
    )
    close(rates('linear:warmup=0.5,warmupFrom=0', 6), [0, 0.5, 1, 1, 2 / 3, 1 / 3])
    close(rates('constant:warmup=1', 2), [1, 1])
  })
})

const codeOf = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    return (error as FewbitError).code
  }
  return 'none'
}

describe('records', () => {
  it('are read from text and JSON', () => {
    const text = 'sgd:momentum=0.9,nesterov'
    expect(parseOptimizer(text).toJSON()).toEqual({
      ...{ name: 'sgd', options: { momentum: 0.9, nesterov: true, weightDecay: 0 } },
    })
    expect(readOptimizer(parseOptimizer(text).toJSON()).toJSON()).toEqual(parseOptimizer(text).toJSON())
    const sum = parseLoss('0.3*cross-entropy:labelSmoothing=0.1 + 1e-1*distillation:temperature=2')
    expect(sum.needs).toEqual(['labels', 'teacher'])
    expect(readLoss(JSON.parse(JSON.stringify(sum))).toJSON()).toEqual(sum.toJSON())
    expect(crossEntropy({ labelSmoothing: 0.1 }).toJSON()).toEqual(
      parseLoss('cross-entropy:labelSmoothing=0.1').toJSON(),
    )
    expect(readSchedule({ name: 'cosine' }).toJSON().options).toEqual({ warmup: 0, warmupFrom: 0.025, end: 0 })
  })

  it('refuse what they do not know', () => {
    expect(codeOf(() => parseOptimizer('sdg'))).toBe('OPTIMIZER_UNKNOWN')
    expect(codeOf(() => parseOptimizer('sgd:momentun=1'))).toBe('OPTIMIZER_OPTION')
    expect(codeOf(() => parseOptimizer('sgd:momentum=2'))).toBe('OPTIMIZER_OPTION')
    expect(codeOf(() => parseLoss('mse + mes'))).toBe('LOSS_UNKNOWN')
    expect(codeOf(() => parseSchedule('step:at=half'))).toBe('SCHEDULE_OPTION')
    for (const [name, { title, source }] of Object.entries({ ...OPTIMIZERS, ...SCHEDULES })) {
      expect([name, title, source].every((text) => text.length > 0)).toBe(true)
    }
  })
})
