import { nodeEngine } from '@fewbit/engine-node'
import { countingEngine, memoryData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Dataset } from '../engine/index.ts'
import { type Model, parseModel, Tensor } from '../ir/index.ts'
import type { FewbitError } from '../util/index.ts'
import { type EvaluateOptions, evaluate } from './evaluate.ts'
import { recordedInputs } from './recipe.ts'

const engine = nodeEngine({ threads: 1 })

/** y = x, so that a sample is its own scores. */
const model = (body = 'y = Identity(x)', batch = 'N', classes = 3): Model =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]> m (float32[${batch},${classes}] x) => (float32[${batch},${classes}] y)
    <float32[] k = {1.5}> { ${body} }`)

const ROWS = [
  [1, 2, 9],
  [5, 2, 1],
  [0, 4, 3],
  [7, 3, 8],
]
const data = (labels: readonly number[] = [], rows = ROWS): Dataset =>
  memoryData(
    rows.map((row) => ({ x: Tensor.float32([1, row.length], row) })),
    labels,
  )

const scores = (options: Partial<EvaluateOptions>, m = model()) =>
  evaluate(m, { engine, data: data([2, 0, 2, 2]), ...options })

const failure = (work: Promise<unknown>): Promise<FewbitError> =>
  work.then(
    () => {
      throw new Error('it did not fail')
    },
    (error) => error,
  )

describe('evaluate', () => {
  it('scores labels and reference by default', async () => {
    // Largest: 2, 0, 1, 2 against labels 2, 0, 2, 2. c = 1.5·r: noise 0.25 of the signal, in every batch.
    const found = await scores({ against: model('y = Identity(x)') }, model('y = Mul(x, k)'))
    expect(found.metrics).toEqual({
      top1: 75,
      sqnr: expect.closeTo(10 * Math.log10(4), 5),
      cosine: expect.closeTo(1, 6),
      agreement: 100,
    })
    expect(found).toMatchObject({ data: 'memory', samples: 4, synthetic: false })
    expect(found.secondsPerSample).toBeGreaterThan(0)
  })

  it('takes the metrics that the data allow', async () => {
    expect(Object.keys((await scores({})).metrics)).toEqual(['top1'])
    const wide = data([0], [Array.from({ length: 11 }, (_, i) => i)])
    const eleven = await scores({ data: wide }, model('y = Identity(x)', 'N', 11))
    expect(eleven.metrics).toEqual({ top1: 0, top5: 0 })
    expect(Object.keys((await scores({ data: data(), against: model() })).metrics)).toEqual(['sqnr', 'cosine'])
  })

  it('pairs samples of both models where one has a fixed batch and the other an open one', async () => {
    for (const batch of ['1', '3', 'N']) {
      const found = await scores({
        against: model('y = Mul(x, k)', batch),
        batchSize: 2,
        metrics: ['agreement', 'mse'],
      })
      const squares = ROWS.flat().reduce((sum, v) => sum + (v / 2) ** 2, 0)
      expect(found.metrics).toEqual({ agreement: 100, mse: expect.closeTo(squares / 12, 5) })
      expect(found.samples).toBe(4)
    }
  })

  it('scores the first samples where fewer are asked for', async () => {
    expect(await scores({ samples: 3, metrics: ['top1'] })).toMatchObject({ samples: 3, metrics: { top1: 200 / 3 } })
  })

  it.each([
    [{ data: data() }, 'EVALUATE_METRICS', '--against'],
    [{ metrics: ['sqnr'] }, 'EVALUATE_AGAINST', '--against'],
    [{ metrics: ['accuracy'] }, 'METRIC_UNKNOWN', 'top1'],
    [{ data: data([2, 0, 3, 2]) }, 'EVALUATE_LABELS', 'sample "sample 2" has label 3, but the network has 3 outputs'],
    [{ data: data([], []) }, 'DATA_EMPTY', 'holds no samples'],
  ])('refuses %j', async (options, code, help) => {
    const error = await failure(scores(options))
    expect(error.code).toBe(code)
    expect(error.message).toContain(help)
  })

  it('releases both sessions when scoring fails', async () => {
    const counting = countingEngine(engine)
    await failure(scores({ engine: counting.engine, data: data([9, 9, 9, 9]), against: model() }))
    expect(counting.open()).toBe(0)
  })
})

describe('the inputs that a recipe remembers', () => {
  const stamped = (inputs: unknown): Model => {
    const m = model()
    m.metadata.set('fewbit.recipe', JSON.stringify({ inputs }))
    return m
  }
  const like = (mean: number, std: number) => [{ input: 'x', mean, std, min: 0, max: 9 }]
  const codes = async (m: Model) => (await scores({}, m)).diagnostics.map((d) => d.code)

  // The data: mean 45/12, standard deviation 2.8.
  it('warn where other data look different', async () => {
    expect(await codes(stamped(like(3.75, 2.8)))).toEqual([])
    expect(await codes(stamped(like(100, 28)))).toEqual(['DATA_RECIPE'])
    expect(await codes(stamped(like(-3, 2.8)))).toEqual(['DATA_RECIPE'])
  })

  it('are ignored where somebody else wrote them', async () => {
    expect(await codes(stamped('other'))).toEqual([])
    const broken = model()
    broken.metadata.set('fewbit.recipe', '{')
    expect(recordedInputs(broken)).toBeUndefined()
    expect(recordedInputs(model())).toBeUndefined()
  })
})
