import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import type { Dataset } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import { cosine, cosineDistance, crossEntropy, parseLoss, sgd } from '../../training/index.ts'
import type { FewbitError } from '../../util/index.ts'
import type { CheckpointMemory } from '../checkpoint-memory.ts'
import { evaluate } from '../evaluate.ts'
import { optimize } from '../optimize.ts'
import { network, pictures } from './small-task.fixture.ts'
import { type TrainResult, train } from './train.ts'
import type { TrainOptions } from './train-options.ts'

const engine = nodeEngine({ threads: 1 })

const options = (): TrainOptions => ({
  engine,
  data: pictures(100, 1),
  evaluation: { data: pictures(60, 2) },
  epochs: 4,
  batchSize: 16,
  lr: 0.2,
  augment: [{ name: 'crop', options: { pad: 1 } }, { name: 'flip' }],
})

/** Weights as text, so that differences show. */
const weightsOf = (model: Model) =>
  [...model.graph.initializers].map(({ name, constant }) => [name, constant && Array.from(constant.numbers())])

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (e: FewbitError) => e.code ?? e.name,
  )

/** A memory that ends the run, as a kill would, once it has kept a checkpoint of so many steps. */
function stoppingMemory(saves: number) {
  const controller = new AbortController()
  let kept: Uint8Array | undefined
  let left = saves
  const memory: CheckpointMemory = {
    name: 'test',
    load: async () => kept,
    async save(bytes) {
      if (left === 0) return
      kept = bytes
      if (--left === 0) controller.abort(new Error('killed'))
    },
  }
  return { memory, signal: controller.signal }
}

/** Nine steps in three epochs, with everything that has state. */
const manyOptions = (): TrainOptions => ({
  ...options(),
  ...{ epochs: 3, accumulate: 2, checkpointSteps: 2, schedule: cosine({ warmup: 3 }), ema: { decay: 0.9 } },
  optimizer: sgd({ momentum: 0.9 }),
  earlyStop: { patience: 5 },
})

let once: Promise<TrainResult> | undefined
function unstopped(): Promise<TrainResult> {
  once ??= train(network(), manyOptions())
  return once
}

describe('train', () => {
  it('learns, tells what happened, and leaves the given model alone', async () => {
    const model = network()
    const before = weightsOf(model)
    const result = await train(model, options())
    const { report } = result
    expect(weightsOf(model)).toEqual(before)
    expect(report.history.map(({ epoch, steps }) => [epoch, steps])).toEqual([
      [1, 6],
      [2, 12],
      [3, 18],
      [4, 24],
    ])
    expect(report.before?.top1).toBeLessThan(60)
    expect(report.after?.top1).toBeGreaterThan(85)
    expect(report.history.at(-1)?.accuracy).toBeGreaterThan(0.8)
    // The figures are those of the network that is given back.
    const again = await evaluate(result.model, { engine, data: pictures(60, 2) })
    expect(again.metrics.top1).toBe(report.after?.top1)
    expect(JSON.parse(result.model.metadata.get('fewbit.training') ?? '')).toMatchObject({
      steps: 24,
      settings: { lr: 0.2 },
    })
  })

  it('gives the same network for the same seed, and another for another', async () => {
    const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => train(network(), { ...options(), epochs: 1, seed })))
    expect(weightsOf(a!.model)).toEqual(weightsOf(b!.model))
    expect(weightsOf(a!.model)).not.toEqual(weightsOf(c!.model))
  })

  it.each([1, 2, 3, 4])('goes on after a kill behind checkpoint %i as if nothing had been', async (saves) => {
    const run = manyOptions()
    const whole = await unstopped()
    const { memory, signal } = stoppingMemory(saves)
    expect(await codeOf(train(network(), { ...run, memory, signal }))).not.toBe('no error')
    const rest = await train(network(), { ...run, memory: { ...memory, save: async () => {} }, resume: true })
    expect(rest.report.history).toEqual(whole.report.history)
    expect(rest.report.before).toEqual(whole.report.before)
    expect(weightsOf(rest.model)).toEqual(weightsOf(whole.model))
  })

  it('says where BatchNormalization is folded away, and puts it back on request, stopped or not', async () => {
    const { model: folded } = await optimize(network(), { engine })
    const plain = await train(folded, { ...options(), epochs: 1, lr: 0.01 })
    expect(plain.diagnostics.map(({ code }) => code)).toContain('TRAIN_NORMS')
    const run: TrainOptions = { ...manyOptions(), batchNorm: 'restore' }
    const whole = await train(folded, run)
    expect(whole.diagnostics.find(({ code }) => code === 'TRAIN_NORMS')?.message).toMatch(/^1 convolution/)
    // The network begins where it was.
    expect(whole.report.before).toEqual(plain.report.before)
    const norm = [...whole.model.graph.nodes].find(({ opType }) => opType === 'BatchNormalization')
    const inference = await evaluate(whole.model, { engine, data: pictures(60, 2) })
    expect(norm && inference.metrics.top1).toBe(whole.report.after?.top1)
    const { memory, signal } = stoppingMemory(2)
    expect(await codeOf(train(folded, { ...run, memory, signal }))).not.toBe('no error')
    const rest = await train(folded, { ...run, memory: { ...memory, save: async () => {} }, resume: true })
    expect(weightsOf(rest.model)).toEqual(weightsOf(whole.model))
  })

  it.each([2, 3, 7, 9])('goes on after an interrupt in step %i as if nothing had been', async (stop) => {
    const whole = await unstopped()
    const controller = new AbortController()
    let steps = 0
    let kept: Uint8Array | undefined
    const memory: CheckpointMemory = {
      name: 'test',
      load: async () => kept,
      save: async (bytes) => {
        kept = bytes
      },
    }
    const onProgress = ({ stage, state }: { stage: string; state: string }) => {
      if (stage.startsWith('epoch') && state === 'progress' && ++steps === stop) controller.abort(new Error('enough'))
    }
    const interrupted = { ...manyOptions(), memory, onProgress, signal: controller.signal, checkpointSteps: 100 }
    await expect(train(network(), interrupted)).rejects.toThrow('enough')
    const { report, model } = await train(network(), { ...manyOptions(), memory, resume: true })
    expect(report.history).toEqual(whole.report.history)
    expect(weightsOf(model)).toEqual(weightsOf(whole.model))
  })

  it('does not mistake one run for another', async () => {
    const { memory, signal } = stoppingMemory(1)
    await codeOf(train(network(), { ...options(), memory, signal }))
    expect(await codeOf(train(network(), { ...options(), memory }))).toBe('CHECKPOINT_EXISTS')
    const other = train(network(), { ...options(), memory, resume: true, lr: 0.1 })
    await expect(other).rejects.toThrow(/CHECKPOINT_OTHER.*settings: lr\n[\s\S]*0.2 then, 0.1 now/)
    const junk = { ...memory, load: async () => Uint8Array.of(1, 2, 3) }
    expect(await codeOf(train(network(), { ...options(), memory: junk, resume: true }))).toBe('SAFETENSORS_TRUNCATED')
  })

  it('stops where nothing gets better, and gives back the best', async () => {
    const result = await train(network(), { ...options(), epochs: 30, earlyStop: { patience: 2 } })
    const scores = result.report.history.map(({ metrics }) => metrics?.top1 ?? 0)
    const best = scores.indexOf(Math.max(...scores))
    expect(result.report.bestEpoch).toBe(best + 1)
    expect(scores.length).toBe(best + 3)
    const again = await evaluate(result.model, { engine, data: pictures(60, 2) })
    expect(again.metrics.top1).toBe(scores[best])
  })

  it('ends after the steps that it may make', async () => {
    const { report } = await train(network(), { ...options(), maxSteps: 8 })
    expect(report.history.map(({ steps }) => steps)).toEqual([6, 8])
  })

  it('asks the teacher beside the labels where the loss asks only those, and says so', async () => {
    const teacher = network()
    const course = { ...options(), epochs: 1, teacher }
    const implied = await train(network(), { ...course, loss: crossEntropy() })
    const stated = await train(network(), { ...course, loss: parseLoss('0.3*cross-entropy + 0.7*distillation') })
    expect(weightsOf(implied.model)).toEqual(weightsOf(stated.model))
    const said = (result: TrainResult) => result.diagnostics.filter(({ code }) => code === 'TRAIN_TEACHER')
    expect(said(implied)[0]?.message).toContain('0.3*cross-entropy + 0.7*distillation')
    expect(said(stated)).toEqual([])
    const neither = { ...course, loss: cosineDistance() }
    expect(await codeOf(train(network(), neither))).toBe('TRAIN_TEACHER')
  })

  it('says what does not fit together', async () => {
    const unlabelled = {
      ...pictures(20, 1),
      pictures: undefined,
      async *samples() {
        for await (const { label: _, ...sample } of pictures(20, 1).samples()) yield sample
      },
    } as unknown as Dataset
    expect(await codeOf(train(network(), { ...options(), data: unlabelled }))).toBe('TRAIN_LABELS')
    expect(await codeOf(train(network('4'), options()))).toBe('TRAIN_BATCH')
    expect(await codeOf(train(network(), { ...options(), accumulate: 50 }))).toBe('TRAIN_OPTION')
    expect(await codeOf(train(network(), { ...options(), lr: 1e30 }))).toBe('TRAIN_DIVERGED')
  })
})
