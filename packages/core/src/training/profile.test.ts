import { expect, it } from 'vitest'
import { operatorTimes } from './index.ts'

const event = (operator: string, node: number, dur: number) => ({
  cat: 'Node',
  name: `${operator}_${node}_kernel_time`,
  dur,
  args: { op_name: operator, node_index: String(node) },
})

it('adds up the medians of nodes by operator, dearest first', () => {
  const runs = [1000, 9000, 2000].flatMap((dur) => [
    event('Relu', 0, dur),
    event('Relu', 1, 500),
    event('Conv', 2, 7500),
  ])
  const session = { cat: 'Session', name: 'model_run', dur: 99999 }
  expect(operatorTimes(JSON.stringify([session, ...runs]))).toEqual([
    { operator: 'Conv', nodes: 1, ms: 7.5, share: 0.75 },
    { operator: 'Relu', nodes: 2, ms: 2.5, share: 0.25 },
  ])
})

it('says what is no trace', () => {
  for (const text of ['{}', '[1, 2', '']) expect(() => operatorTimes(text)).toThrow('not a trace')
})
