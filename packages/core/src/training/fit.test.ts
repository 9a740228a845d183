import { nodeEngine } from '@fewbit/engine-node'
import { labelledBatch, smallNetwork } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { FewbitError, must } from '../util/index.ts'
import {
  type BatchSource,
  cosine,
  crossEntropy,
  type Evaluation,
  type FitOptions,
  fit,
  type Schedule,
  sgd,
  TrainingRun,
  type TrainingStepOptions,
  trainable,
  trainingStep,
} from './index.ts'

const ops = defaultOps

const options = (more: Partial<TrainingStepOptions> = {}): TrainingStepOptions => ({
  ...{ trainable: trainable(smallNetwork(), ops), loss: crossEntropy(), optimizer: sgd({ momentum: 0.9 }), ops },
  shapes: { x: [8, 2, 6, 6] },
  ...more,
})

/** Epochs of five batches. */
const source = (digest = 'a'): BatchSource => ({
  batchesPerEpoch: 5,
  batchSize: 8,
  *batches(epoch, from) {
    for (let i = from; i < 5; i++) yield labelledBatch(epoch * 5 + i, 8)
  },
  toJSON: () => ({ digest }),
})

const bits = (state: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries([...state].map(([name, t]) => [name, [...t.bytes()]]))

async function trained(more: Partial<FitOptions>, step: Partial<TrainingStepOptions> = {}, threads = 1) {
  const losses: number[] = []
  const run = await TrainingRun.load(nodeEngine({ threads }), trainingStep(options(step)), { seed: 7 })
  try {
    const result = await fit({
      ...{ run, batches: source(), steps: 12, lr: 0.05, schedule: cosine({ warmup: 3 }) },
      onStep: ({ loss }) => losses.push(loss),
      ...more,
    })
    return { ...result, losses, full: run.fullState() }
  } finally {
    await run.release()
  }
}

/** The last checkpoint of a run, which may have been aborted. */
async function savedBy(more: Partial<FitOptions>): Promise<Uint8Array> {
  const saved: Uint8Array[] = []
  const made = trained({ ...more, checkpoint: { every: 100, save: (bytes) => void saved.push(bytes) } })
  if (more.signal) await expect(made).rejects.toThrow('enough')
  await made.catch(() => {})
  return must(saved.at(-1), 'checkpoint')
}

const codeOf = async (made: Promise<unknown>): Promise<string> => {
  try {
    await made
  } catch (error) {
    if (error instanceof FewbitError) return `${error.code} ${error.diagnostics[0]?.message}`
    throw error
  }
  return 'none'
}

describe('fit', () => {
  const everything: Partial<TrainingStepOptions> = { accumulate: 2, ema: { decay: 0.9 }, clipNorm: 1 }

  it.each([1, 2])('goes on from a checkpoint to the last bit, with %d threads', async (threads) => {
    const saved: [number, Uint8Array][] = []
    const evaluate: Evaluation = {
      every: 4,
      measure: async (state, step) => ({ sum: must(must(state.get('wf'), 'wf').numbers()[0], 'weight') + step }),
      best: { metric: 'sum', higher: true },
    }
    const checkpoint = { every: 5, save: (bytes: Uint8Array, steps: number) => void saved.push([steps, bytes]) }
    const whole = await trained({ checkpoint, evaluate }, everything, threads)
    expect(saved.map(([steps]) => steps)).toEqual([5, 10, 12])
    const resumed = await trained({ evaluate, resume: must(saved[0], 'checkpoint')[1] }, everything, threads)
    expect(resumed.losses).toEqual(whole.losses.slice(5))
    expect(bits(resumed.full)).toEqual(bits(whole.full))
    expect(resumed.history).toEqual(whole.history)
    expect(bits(resumed.state)).toEqual(bits(whole.state))
    const done = await trained({ evaluate, resume: must(saved[2], 'checkpoint')[1] }, everything, threads)
    expect(done.losses).toEqual([])
    expect(bits(done.state)).toEqual(bits(whole.state))
  })

  it('saves where it is aborted, and goes on from there', async () => {
    const abort = new AbortController()
    const saved = await savedBy({
      signal: abort.signal,
      onStep: ({ step }) => step === 4 && abort.abort(new Error('enough')),
    })
    const whole = await trained({})
    const resumed = await trained({ resume: saved })
    expect(resumed.losses).toEqual(whole.losses.slice(4))
  })

  it('refuses checkpoints of other settings, and says which', async () => {
    const saved = await savedBy({ steps: 2 })
    const message = (different: string) => `CHECKPOINT_OTHER the checkpoint was made with other settings: ${different}`
    expect(await codeOf(trained({ steps: 2, lr: 0.04, batches: source('b'), resume: saved }))).toBe(
      message('lr, batches'),
    )
    expect(await codeOf(trained({ steps: 2, resume: saved }, { optimizer: sgd() }))).toBe(message('optimizer'))
    const broken = saved.slice()
    broken[0] = 255
    expect(await codeOf(trained({ resume: broken }))).toMatch(/^SAFETENSORS_/)
    expect(await codeOf(trained({ steps: 2, resume: saved }))).toBe('none')
  })

  it('stops when nothing gets better, and keeps the best state', async () => {
    const values = [1, 3, 2, 2.5, 9]
    const states: number[][] = []
    const { stopped, steps, state, history } = await trained({
      evaluate: {
        ...{ every: 2, patience: 2, best: { metric: 'top1', higher: true } },
        measure: async (s) => {
          states.push([...must(s.get('wf'), 'wf').numbers()])
          return { top1: must(values[states.length - 1], 'value') }
        },
      },
    })
    expect([stopped, steps]).toEqual(['early', 8])
    expect([...must(state.get('wf'), 'wf').numbers()]).toEqual(states[1])
    expect(history.map(({ step, metrics }) => [step, metrics.top1])).toEqual([
      [2, 1],
      [4, 3],
      [6, 2],
      [8, 2.5],
    ])
  })

  it('follows the schedule, and counts epochs and hits', async () => {
    const rates: number[] = []
    const schedule: Schedule = { ...cosine(), factor: ({ step, total }) => step / total }
    await trained({
      ...{ schedule, steps: 10 },
      onStep({ step, lr, epoch, accuracy, hits, samplesPerSecond }) {
        rates.push(lr)
        expect(epoch).toBe(step <= 5 ? 0 : 1)
        expect(accuracy).toBe((hits ?? -1) / 8)
        expect(samplesPerSecond).toBeGreaterThan(0)
      },
    })
    expect(rates).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((step) => 0.05 * (step / 10)))
  })

  it('gives up where the loss is no number any more', async () => {
    const batches: BatchSource = {
      ...source(),
      *batches() {
        yield {
          ...labelledBatch(1, 8),
          feeds: { x: Tensor.float32([8, 2, 6, 6], new Float32Array(576).fill(Number.NaN)) },
        }
      },
    }
    expect(await codeOf(trained({ batches }))).toMatch(/^TRAIN_DIVERGED/)
  })
})
