import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { collectStats, requestsForPlan } from '../calibration/index.ts'
import { valuesByName } from '../ir/index.ts'
import { OBSERVERS, type ObserverName, observeConstant } from '../observers/index.ts'
import { Diagnostics } from '../util/index.ts'
import { chooseParams, statsFor, warnOfThinStats } from './parameters.ts'
import { type PlanOptions, planModel, quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })
const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 12), [], 'pictures')

const planned = (options: Partial<PlanOptions> = {}) =>
  planModel(fixture('residual'), { engine, smallLayers: 'integer', ...options })

/** Plan, statistics and parameters with one observer for all activations. */
async function parameters(observer: string) {
  const { plan, float } = await planned()
  const tensors = plan.tensors.map((tensor) =>
    tensor.source.kind === 'calibrate' ? { ...tensor, source: { ...tensor.source, observer } } : tensor,
  )
  const named = { ...plan, tensors }
  const stats = await collectStats(float, engine, data, requestsForPlan(named, OBSERVERS), { batchSize: 4 })
  const params = chooseParams(float, named, statsFor(named, stats), new Diagnostics())
  return { plan: named, stats, params }
}

describe('chooseParams', () => {
  it.each(Object.keys(OBSERVERS))('gets from calibration what %s needs', async (name) => {
    const { plan, params } = await parameters(name)
    const activations = plan.tensors.filter(({ source }) => source.kind === 'calibrate')
    expect(activations.length).toBeGreaterThan(2)
    for (const { group } of activations) {
      expect(params.get(group)?.scale.every((s) => s > 0 && Number.isFinite(s))).toBe(true)
    }
  })

  it('asks the observer of weights for each channel of a constant', async () => {
    const { plan, float } = await planned({ weightObserver: 'lsq' })
    const stats = await collectStats(float, engine, data, requestsForPlan(plan, OBSERVERS))
    const params = chooseParams(float, plan, statsFor(plan, stats), new Diagnostics())
    const weight = plan.tensors.find(({ role }) => role === 'weight')!
    const constant = valuesByName(float.graph).get(weight.value)!.constant!
    const expected = (name: ObserverName) =>
      observeConstant(OBSERVERS[name], constant.numbers(), constant.dims, weight.spec)
    expect(params.get(weight.group)).toEqual(expected('lsq'))
    expect(expected('lsq').scale).not.toEqual(expected('minmax').scale)
  })
})

describe('options of an observer', () => {
  const run = (observer: string | undefined, observerOptions: Record<string, number>) =>
    quantize(fixture('residual'), {
      engine,
      smallLayers: 'integer',
      calibration: { data, observerOptions, ...(observer ? { observer } : {}) },
    })

  it('reach it', async () => {
    const [tight, wide] = await Promise.all([run('percentile', { percentile: 90 }), run('percentile', {})])
    expect(tight.params.get('x')!.scale[0]).toBeLessThan(0.7 * wide.params.get('x')!.scale[0]!)
  })

  it('are refused before anything runs, if it has none such or there is no observer', async () => {
    await expect(run('mse', { percentile: 90 })).rejects.toThrow('OBSERVER_OPTION')
    await expect(run(undefined, { percentile: 90 })).rejects.toThrow('OBSERVER_OPTION')
  })
})

it('warnOfThinStats says once what several tensors have too few values for', async () => {
  const { plan, stats } = await parameters('percentile')
  const diagnostics = new Diagnostics()
  warnOfThinStats(plan, statsFor(plan, stats), OBSERVERS, diagnostics)
  expect(diagnostics.list.map(({ code, level }) => [code, level])).toEqual([['OBSERVER_THIN', 'info']])
  expect(diagnostics.list[0]?.message).toContain('same as minmax')
})
