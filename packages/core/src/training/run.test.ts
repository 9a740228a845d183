import { nodeEngine } from '@fewbit/engine-node'
import { labelledBatch, smallNetwork } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { cloneModel, GraphBuilder, Tensor, valuesByName, verify } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { FewbitError, must } from '../util/index.ts'
import {
  adam,
  clamp,
  crossEntropy,
  DECAY_WEIGHTS_ONLY,
  distillation,
  lp,
  mse,
  type Regularizer,
  type StepBatch,
  sgd,
  TrainingRun,
  type TrainingStepOptions,
  trainable,
  trainingStep,
  withState,
} from './index.ts'

const engine = nodeEngine({ threads: 1 })
const ops = defaultOps

const options = (more: Partial<TrainingStepOptions> = {}, network = smallNetwork()): TrainingStepOptions => {
  return { trainable: trainable(network, ops), loss: crossEntropy(), optimizer: sgd(), ops, ...more }
}

/** Steps on batches, each of which may be several. */
async function train(o: TrainingStepOptions, batches: readonly (StepBatch | StepBatch[])[], lr = 0.1, seed = 0) {
  const step = trainingStep(o)
  expect(verify(step.model)).toEqual([])
  const run = await TrainingRun.load(engine, step, { seed })
  const reports = []
  for (const batch of batches) reports.push(await run.advance(batch, { lr }))
  await run.release()
  const numbers = (name: string) => [...must(run.fullState().get(name), name).numbers()]
  return { run, reports, numbers }
}

const codeOf = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    if (error instanceof FewbitError) return error.code
    throw error
  }
  return 'none'
}

const near = (a: readonly number[], b: readonly number[], tolerance: number) =>
  expect(Math.max(...a.map((v, i) => Math.abs(v - (b[i] ?? Number.NaN))))).toBeLessThan(tolerance)

describe('trainable', () => {
  it('finds weights, biases and norms by what operators say', () => {
    const { parameters, updates, random } = trainable(smallNetwork({ dropout: true }), ops)
    expect(parameters).toEqual([
      { name: 'w', kind: 'weight' },
      { name: 's', kind: 'norm' },
      { name: 'b', kind: 'norm' },
      { name: 'wf', kind: 'weight' },
      { name: 'bf', kind: 'bias' },
    ])
    expect([...updates.keys()]).toEqual(['m', 'v'])
    expect(random?.map(({ fill }) => fill)).toEqual([{ kind: 'mask', keep: 0.75 }])
    expect(trainable(smallNetwork(), ops, { batchNorm: 'fixed' }).updates.size).toBe(0)
  })

  it('gives trained state to the form that is evaluated', async () => {
    const { run, reports } = await train(
      options({ optimizer: sgd({ momentum: 0.9 }) }),
      Array.from({ length: 40 }, (_, i) => labelledBatch(i, 16)),
      0.05,
    )
    expect(reports[0]?.loss).toBeCloseTo(Math.log(3), 0)
    const trained = withState(smallNetwork(), run.state(), ops)
    const session = await engine.load(trained)
    const batch = labelledBatch(99, 64)
    const scores = must((await session.run(batch.feeds)).y, 'y').numbers()
    await session.release()
    const right = [...batch.labels].filter((label, i) => {
      const row = [...scores.slice(3 * i, 3 * i + 3)]
      return row.indexOf(Math.max(...row)) === label
    })
    expect(right.length).toBeGreaterThan(55)
  })
})

describe('TrainingRun', () => {
  it('makes of accumulated batches what a larger one makes', async () => {
    const network = smallNetwork({ norm: false })
    const large = labelledBatch(5, 24)
    const x = must(large.feeds.x, 'x').numbers()
    const part = (i: number): StepBatch => ({
      feeds: { x: Tensor.float32([8, 2, 6, 6], x.slice(i * 576, (i + 1) * 576)) },
      labels: large.labels.slice(i * 8, (i + 1) * 8),
    })
    const o = { optimizer: adam(), clipNorm: 0.1 }
    const whole = await train(options(o, network), [large, large], 0.01)
    const parts = [part(0), part(1), part(2)]
    const inParts = await train(options({ ...o, accumulate: 3 }, network), [parts, parts], 0.01)
    for (const name of ['w', 'wf', 'bf', 'w/first']) near(inParts.numbers(name), whole.numbers(name), 2e-6)
    expect(inParts.reports[1]?.loss).toBeCloseTo(must(whole.reports[1], 'report').loss, 5)
    expect(inParts.reports[1]?.hits).toBe(whole.reports[1]?.hits)
    expect(inParts.reports[1]?.gradNorm).toBeCloseTo(must(whole.reports[1]?.gradNorm, 'norm'), 5)
  })

  it('masks for Dropout come from the seed and keep the mean', async () => {
    const o = options({ shapes: { x: [8, 2, 6, 6] } }, smallNetwork({ dropout: true }))
    const batches = [labelledBatch(1, 8), labelledBatch(1, 8)]
    const [a, b, c] = [await train(o, batches, 0), await train(o, batches, 0), await train(o, batches, 0, 1)]
    expect(a.reports).toEqual(b.reports)
    expect(a.reports[0]?.loss).not.toBe(a.reports[1]?.loss)
    expect(a.reports[0]?.loss).not.toBe(c.reports[0]?.loss)
  })

  it('averages parameters', async () => {
    const batches = [labelledBatch(1, 8), labelledBatch(2, 8), labelledBatch(3, 8)]
    const seen = [await train(options(), [], 0.1), ...[1, 2, 3].map((n) => train(options(), batches.slice(0, n), 0.1))]
    const path = (await Promise.all(seen)).map(({ numbers }) => numbers('wf'))
    const { numbers, run } = await train(options({ ema: { decay: 0.5 } }), batches, 0.1)
    // Decays of min(0.5, (1 + t)/(10 + t)), from the first weights on.
    const expected = path.slice(1).reduce(
      (average, p, i) => {
        const d = Math.min(0.5, (2 + i) / (11 + i))
        return average.map((a, j) => d * a + (1 - d) * must(p[j], 'weight'))
      },
      must(path[0], 'start'),
    )
    near(numbers('wf/ema'), expected, 1e-6)
    expect([...must(run.state(true).get('wf'), 'wf').numbers()]).toEqual(numbers('wf/ema'))
    expect([...must(run.state().get('wf'), 'wf').numbers()]).toEqual(numbers('wf'))
  })

  it('treats groups of parameters by name and kind', async () => {
    const batches = [labelledBatch(1, 8)]
    const start = await train(options(), [])
    const plain = await train(options(), batches)
    const groups = [{ match: 'w', frozen: true }, { match: 'wf*', lrScale: 0.5, weightDecay: 0 }, DECAY_WEIGHTS_ONLY]
    const grouped = await train(options({ groups, optimizer: sgd({ weightDecay: 0.1 }) }), batches)
    expect(grouped.run.state().has('w')).toBe(false)
    const moved = (of: typeof plain, name: string) =>
      of.numbers(name).map((v, i) => v - must(start.numbers(name)[i], 'v'))
    near(
      moved(grouped, 'wf'),
      moved(plain, 'wf').map((v) => v / 2),
      1e-6,
    )
    near(moved(grouped, 's'), moved(plain, 's'), 1e-7)
    const decayed = await train(options({ optimizer: sgd({ weightDecay: 0.1 }) }), batches)
    near(
      moved(decayed, 's'),
      moved(plain, 's').map((v) => v - 0.01),
      1e-6,
    )
  })

  it('lets regularizers and constraints take part, with numbers of their own', async () => {
    const square: Regularizer = {
      ...{ name: 'square', toJSON: () => ({ name: 'square' }) },
      scalars: ({ step, total }) => ({ weight: 10 * step + total }),
      write: (g, { parameter, scalars }) => g.mul(g.total(g.square(parameter('bf'))), must(scalars.weight, 'weight')),
    }
    const batch = labelledBatch(1, 8)
    const plain = await train(options(), [batch, batch], 0.1)
    const both = { regularizers: [square], constraints: [clamp({ match: 'bf', min: -0.01, max: 0.02 })] }
    const { reports, numbers } = await train(options(both), [batch, batch], 0.1)
    // The bias is zero at first, so that the first step is the plain one, clamped.
    const first = (await train(options(), [batch], 0.1)).numbers('bf').map((v) => Math.min(Math.max(v, -0.01), 0.02))
    const penalty = 22 * first.reduce((sum, v) => sum + v * v, 0)
    expect(reports[0]?.loss).toBeCloseTo(must(plain.reports[0], 'report').loss, 6)
    const clamped = await train(options({ constraints: both.constraints }), [batch, batch], 0.1)
    expect(reports[1]?.loss).toBeCloseTo(must(clamped.reports[1], 'report').loss + penalty, 5)
    expect(numbers('bf').every((v) => v >= Math.fround(-0.01) && v <= Math.fround(0.02))).toBe(true)
  })

  it('compares with a teacher in the same graph, which stays as it is', async () => {
    const teacher = smallNetwork({ norm: false })
    const batch = labelledBatch(1, 16)
    const same = await train(options({ loss: distillation(), teacher }, smallNetwork({ norm: false })), [batch])
    expect(Math.abs(must(same.reports[0], 'report').loss)).toBeLessThan(1e-6)
    const o = options({ loss: mse({ against: 'teacher' }), teacher, optimizer: adam() })
    const { reports } = await train(
      o,
      Array.from({ length: 60 }, () => batch),
      0.02,
    )
    expect(must(reports.at(-1), 'report').loss).toBeLessThan(0.2 * must(reports[0], 'report').loss)
    expect(reports[0]?.hits).toBeUndefined()
  })

  it('fits a block to fed targets', async () => {
    const random = labelledBatch(8, 4)
    const target = Tensor.float32(
      [4, 3],
      Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)),
    )
    const o = options({ loss: lp({ p: 2.4 }), optimizer: adam() })
    const { reports } = await train(
      o,
      Array.from({ length: 80 }, () => ({ feeds: random.feeds, targets: { y: target } })),
      0.03,
    )
    expect(must(reports.at(-1), 'report').loss).toBeLessThan(0.1 * must(reports[0], 'report').loss)
  })

  it('does not write into tensors that it was given or has given away', async () => {
    const network = smallNetwork()
    const before = [...valuesByName(network.graph).values()].flatMap((v) =>
      v.constant ? [[...v.constant.bytes()]] : [],
    )
    const batch = labelledBatch(1, 8)
    const run = await TrainingRun.load(engine, trainingStep(options({}, network)))
    await run.advance(batch, { lr: 0.1 })
    const given = [...run.fullState().values()]
    const bytes = given.map((t) => [...t.bytes()])
    await run.advance(batch, { lr: 0.1 })
    await run.release()
    expect(given.map((t) => [...t.bytes()])).toEqual(bytes)
    const after = [...valuesByName(network.graph).values()].flatMap((v) =>
      v.constant ? [[...v.constant.bytes()]] : [],
    )
    expect(after).toEqual(before)
  })

  it('says what does not fit', async () => {
    expect(codeOf(() => trainingStep(options({ loss: distillation() })))).toBe('TRAIN_TEACHER')
    expect(codeOf(() => trainingStep(options({ groups: [{ frozen: true }] })))).toBe('TRAIN_PARAMETERS')
    const other = cloneModel(smallNetwork())
    must(other.graph.inputs[0], 'x').name = 'z'
    expect(codeOf(() => trainingStep(options({ loss: distillation(), teacher: other })))).toBe('TRAIN_TEACHER')
    const bare = cloneModel(smallNetwork())
    bare.graph.outputs.length = 0
    const b = new GraphBuilder(bare.graph)
    b.output(b.op('Relu', [must(bare.graph.inputs[0], 'x')]))
    expect(codeOf(() => trainingStep(options({}, bare)))).toBe('TRAIN_PARAMETERS')
  })
})
