import { readFileSync } from 'node:fs'
import { allocate, allocationOptions, loadModel, npzDataset, parseAllocation, parseBudget, saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, labels, npz } from './numpy.ts'

const work = new Folder()
const model = work.at('small.onnx')
const data = work.at('data.npz')
const plan = work.at('mixed.json')
const asked = (...rest: string[]) => [
  'allocate',
  model,
  '--data',
  data,
  '--small-layers',
  'integer',
  '-o',
  plan,
  ...rest,
]

beforeAll(async () => {
  await saveModel(smallCnn(), model)
  work.put('data.npz', npz({ x: floats([8, 3, 8, 8], Math.sin), y: labels([0, 1, 2, 0, 1, 2, 0, 1]) }))
})

describe('fewbit allocate', () => {
  it('writes an allocation that quantize builds', async () => {
    const outcome = await fewbit(
      ...asked('--bits', '4,8', '--budget', 'size=80%', '--points', '3', '--eval-data', data),
    )
    expect(outcome.code).toBe(0)
    for (const text of ['all w4a8', 'all w8a8', 'mixed', 'size of weights', 'predicted', 'top1', `wrote ${plan}`]) {
      expect(outcome.out).toContain(text)
    }
    const allocation = JSON.parse(readFileSync(plan, 'utf8'))
    const { out } = await fewbit(
      'quantize',
      model,
      '--data',
      data,
      '--allocation',
      plan,
      '-o',
      work.at('m.onnx'),
      '--json',
    )
    const made = JSON.parse(out)
    const weights = made.plan.tensors.filter((t: { role: string }) => t.role === 'weight')
    const built = Object.fromEntries(
      weights.map((t: { readers: string[]; spec: { bits: number } }) => [t.readers[0], `w${t.spec.bits}a8`]),
    )
    expect(built).toEqual(allocation.nodes)
    expect(new Set(Object.values(built))).toEqual(new Set(['w4a8', 'w8a8']))
    expect([...(await loadModel(work.at('m.onnx'))).graph.nodes].length).toBeGreaterThan(0)
  })

  it('reads a latency table, and prints one document', async () => {
    const { nodes } = JSON.parse(readFileSync(plan, 'utf8'))
    const names = Object.keys(nodes)
    // 4 bits twice as fast: within the time of all but one layer at 8 bits, one has 4.
    work.put('times.json', JSON.stringify(Object.fromEntries(names.map((name) => [name, { w4a8: 1, w8a8: 2 }]))))
    const budget = `latency=${2 * names.length - 1}ms@${work.at('times.json')}`
    const { code, out } = await fewbit(
      ...asked('--bits', '4,8', '--budget', budget, '--points', '0', '--json', '-o', work.at('timed.json')),
    )
    expect(code).toBe(0)
    const { allocation } = JSON.parse(out)
    expect(allocation.budgets).toMatchObject([{ unit: 'ms', used: 2 * names.length - 1 }])
    expect(Object.values(allocation.nodes).filter((scheme) => scheme === 'w4a8')).toHaveLength(1)
  })

  it('ends with 3 where a budget cannot be kept, and says what is possible', async () => {
    const { code, err } = await fewbit(...asked('--bits', '4,8', '--budget', 'size=40%'))
    expect(code).toBe(3)
    expect(err).toMatch(/ALLOCATE_INFEASIBLE.*is the least that is possible/)
  })

  it.each([
    [['--bits', '4,8', '--budget', 'weight=3'], 'BUDGET_SYNTAX', 2, 'size=60%'],
    [['--bits', '8', '--budget', 'size=60%'], 'ALLOCATE_BITS', 2, '4,8'],
    [['--bits', '2,8', '--budget', 'size=60%'], 'SCHEME_UNSUPPORTED', 2, '3, 4, 5'],
    [['--bits', '4,8', '--budget', 'latency=5@nowhere.json'], 'FILE_MISSING', 1, 'nowhere.json'],
  ] as const)('refuses %j', async (flags, code, exit, says) => {
    expect((await failsCleanly(work, code, exit, asked(...flags))).err).toContain(says)
  })

  it('refuses an allocation that is none', async () => {
    work.put('none.json', '{}')
    const args = ['quantize', model, '--data', data, '--allocation', work.at('none.json'), '-o', work.at('x.onnx')]
    expect((await fewbit(...args)).err).toContain('ALLOCATION_FORMAT')
  })

  it('is a verb of the library too', async () => {
    const budgets = [parseBudget('size=80%') as never]
    const options = {
      bits: [4, 8],
      budgets,
      points: 0,
      smallLayers: 'integer',
      calibration: { data: npzDataset(data) },
    } as const
    const { allocation } = await allocate(await loadModel(model), options)
    expect(allocation.nodes).toEqual(JSON.parse(readFileSync(plan, 'utf8')).nodes)
    const { overrides, target } = allocationOptions(parseAllocation(JSON.stringify(allocation)))
    expect(target).toBe('onnxruntime')
    expect(overrides).toHaveLength(Object.keys(allocation.nodes).length)
  })
})
