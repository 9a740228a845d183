import { memoryData } from '@fewbit/testkit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Engine, Feeds } from '../engine/index.ts'
import { type Model, parseModel, Tensor } from '../ir/index.ts'
import { measureLatency } from './latency.ts'

const model = (name: string): Model =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]> ${name} (float32[N,2] x) => (float32[N,2] y) { y = Neg(x) }`)
const data = memoryData(
  [
    [1, 2],
    [3, 4],
  ].map((row) => ({ x: Tensor.float32([1, 2], row) })),
)

/** An engine on whose clock a run of each model takes the given milliseconds, one after the other, the last for good. */
function clockwork(milliseconds: Record<string, number[]>) {
  const log: string[] = []
  const fed: Feeds[] = []
  let alive = 0
  const most = { alive: 0 }
  const engine = {
    name: 'clockwork',
    load: async (source: Model) => {
      const name = source.graph.name
      log.push(name)
      most.alive = Math.max(most.alive, ++alive)
      const times = milliseconds[name] ?? []
      return {
        run: async (feeds: Feeds) => {
          fed.push(feeds)
          vi.advanceTimersByTime((times.length > 1 ? times.shift() : times[0]) ?? 1)
          return {}
        },
        release: async () => void alive--,
      }
    },
  } as unknown as Engine
  return { engine, log, fed, most, alive: () => alive }
}

describe('measureLatency', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('measures both models in turn, one session alive at a time', async () => {
    const { engine, log, most, alive } = clockwork({ float: [10], int8: [5] })
    const latency = await measureLatency(model('float'), model('int8'), data, { engine })
    expect(log).toEqual(['float', 'int8', 'float', 'int8', 'float', 'int8'])
    expect([most.alive, alive()]).toEqual([1, 0])
    expect(latency.float).toBeCloseTo(0.01, 9)
    expect(latency.quantized).toBeCloseTo(0.005, 9)
    expect(latency.ratio).toBeCloseTo(0.5, 9)
  })

  it('leaves out runs that warm up, and stray slow ones', async () => {
    // Three slow runs before the clock counts, then one run in three ten times as slow.
    const times = [900, 900, 900, ...Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 100 : 10)), 10]
    const { engine } = clockwork({ float: [...times], int8: [10] })
    const latency = await measureLatency(model('float'), model('int8'), data, { engine })
    expect(latency.float).toBeCloseTo(0.01, 9)
    expect(latency.ratio).toBeCloseTo(1, 9)
  })

  it('takes the best of the rounds, since a busy machine only adds time', async () => {
    // The first round and most of the second pass under load: 10 runs of 40 ms and 5 more.
    const { engine } = clockwork({ float: [...Array<number>(15).fill(40), 8], int8: [8] })
    const latency = await measureLatency(model('float'), model('int8'), data, { engine })
    expect(latency.ratio).toBeCloseTo(1, 9)
  })

  it('runs a network slower than the round’s budget five times each', async () => {
    const { engine, fed } = clockwork({ float: [2000], int8: [2000] })
    await measureLatency(model('float'), model('int8'), data, { engine })
    expect(fed).toHaveLength(3 * 2 * (3 + 5))
  })

  it('stops after a thousand runs of a network that takes no time', async () => {
    const { engine, fed } = clockwork({ float: [0.01], int8: [0.02] })
    const latency = await measureLatency(model('float'), model('int8'), data, { engine })
    expect(fed).toHaveLength(3 * 2 * (3 + 1000))
    expect(latency.ratio).toBeCloseTo(2, 6)
  })

  it('feeds the first sample alone', async () => {
    const { engine, fed } = clockwork({ float: [50], int8: [50] })
    await measureLatency(model('float'), model('int8'), data, { engine })
    expect(new Set(fed.map(({ x }) => `${x?.dims}: ${x?.numbers()}`))).toEqual(new Set(['1,2: 1,2']))
  })

  it('stops between rounds with the signal’s reason and leaves no session behind', async () => {
    const controller = new AbortController()
    const { engine, log, alive } = clockwork({ float: [10], int8: [10] })
    const stopping = {
      ...engine,
      load: (...args: Parameters<Engine['load']>) => {
        if (log.length === 2) controller.abort(new Error('enough'))
        return engine.load(...args)
      },
    }
    const work = measureLatency(model('float'), model('int8'), data, { engine: stopping, signal: controller.signal })
    await expect(work).rejects.toThrow('enough')
    expect([log.length, alive()]).toEqual([3, 0])
  })
})
