import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { readModel, serializeModel } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { evaluate } from '../evaluate.ts'
import { convertQat } from '../qat/convert-qat.ts'
import { prepareQat } from '../qat/prepare-qat.ts'
import { network, pictures } from './small-task.fixture.ts'
import { train } from './train.ts'
import { type TrainQatOptions, trainQat } from './train-qat.ts'

const engine = nodeEngine({ threads: 1 })
const test = pictures(150, 2)

const options = (): TrainQatOptions => ({
  engine,
  data: pictures(300, 1),
  evaluation: { data: test },
  ...{ epochs: 4, batchSize: 32, lr: 0.05 },
  quantization: { target: 'academic', scheme: 'w2a4', edgeBits: 2, calibration: { samples: 32 } },
})

const float = train(network(), { engine, data: pictures(300, 1), epochs: 10, batchSize: 32, lr: 0.2 })

describe('trainQat', () => {
  it('wins back what two bits lost, and gives back both networks', async () => {
    const { model } = await float
    const { report, qfloat, model: quantized, conversion } = await trainQat(model, options())
    const [before, after] = [report.before?.top1 ?? 0, report.after?.top1 ?? 0]
    expect(report.float?.top1).toBeGreaterThan(95)
    expect(before).toBeLessThan(report.float?.top1 ?? 0)
    expect(after).toBeGreaterThan(before)
    // What is deployed is what was trained: the outputs are float, one step apart at most.
    expect(conversion?.samples).toBe(128)
    for (const { within } of conversion?.outputs ?? []) expect(within).toBe(1)
    expect(report.quantized?.top1).toBeCloseTo(after, 0)
    const again = await evaluate(quantized, { engine, data: test })
    expect(again.metrics.top1).toBe(report.quantized?.top1)
    const saved = await evaluate(qfloat.model, { engine, data: test, load: { optimization: 'simulate' } })
    expect(saved.metrics.top1).toBe(after)
    for (const { metadata } of [quantized, qfloat.model]) {
      const { settings } = JSON.parse(metadata.get('fewbit.training') ?? '{}')
      expect(settings).toMatchObject({ target: 'academic', scheme: 'w2a4', lr: 0.05, batchNorm: 'fold-torch' })
    }
  })

  it('is what preparing, training and converting are one by one', async () => {
    const { model } = await float
    const { quantization, ...course } = options()
    const whole = await trainQat(model, options())
    const calibration = { ...must(quantization, 'quantization').calibration, data: pictures(300, 1) }
    const qfloat = await prepareQat(model, { engine, ...quantization, calibration })
    const trained = await train(qfloat, course)
    expect(trained.report.after).toBeDefined()
    expect(trained.report.history.at(-1)?.metrics?.top1).toBeGreaterThan(trained.report.before?.top1 ?? 100)
    const { model: converted } = await convertQat(trained, { engine })
    const scores = await evaluate(converted, { engine, data: test })
    expect(scores.metrics.top1).toBe(trained.report.after?.top1)
    expect(trained.report.after?.top1).toBeCloseTo(whole.report.after?.top1 ?? 0, -1)
    // A file with fake-quantizers is no float network.
    await expect(train(qfloat.model, { ...course })).rejects.toThrow(/QAT_PREPARED/)
  })

  it('calibrates on the training data where preparing had none', async () => {
    const { model } = await float
    const { quantization, ...course } = { ...options(), epochs: 1 }
    const uncalibrated = await prepareQat(model, { engine, ...quantization })
    const trained = await train(uncalibrated, course)
    const whole = await trainQat(model, { ...course, quantization: must(quantization, 'quantization') })
    expect(trained.report.history).toEqual(whole.report.history)
    expect(serializeModel(trained.model)).toEqual(serializeModel(whole.qfloat.model))
    // What a backend cannot hold is known without data.
    const impossible = { engine, target: 'vitis-ai', fakeQuantizer: 'lsq:scale=real' }
    await expect(prepareQat(model, impossible)).rejects.toThrow(/QAT_OBSTACLE/)
  })

  it('goes on from a file with fake-quantizers, and after a kill, to the last bit', async () => {
    const { model } = await float
    const whole = await trainQat(model, options())
    let kept: Uint8Array | undefined
    const controller = new AbortController()
    const save = async (bytes: Uint8Array) => {
      kept = bytes
      controller.abort(new Error('killed'))
    }
    const memory = { name: 'test', load: async () => kept, save }
    const killed = { ...options(), memory, checkpointSteps: 13, signal: controller.signal }
    await expect(trainQat(model, killed)).rejects.toThrow('killed')
    const rest = await trainQat(model, { ...options(), memory: { ...memory, save: async () => {} }, resume: true })
    expect(rest.report.history).toEqual(whole.report.history)
    expect(serializeModel(rest.model)).toEqual(serializeModel(whole.model))
    const file = readModel(serializeModel(whole.qfloat.model))
    const { quantization: _, ...more } = { ...options(), epochs: 1 }
    const on = await trainQat(file, more)
    expect(on.report.before?.top1).toBe(whole.report.after?.top1)
    await expect(trainQat(file, options())).rejects.toThrow(/QAT_PREPARED/)
  })

  it('freezes weights that oscillate, says how many do, and takes statistics anew', async () => {
    const { model } = await float
    const more = { ...options(), epochs: 2, quantization: { ...options().quantization, scheme: 'w2a4' } }
    const tracked = await trainQat(model, { ...more, oscillation: 'track:momentum=0.1' })
    const found = must(tracked.report.oscillation, 'oscillation')
    expect(found).toMatchObject({ mode: 'track', frozen: 0, elements: 108 + 12 })
    expect(found.oscillating).toBeGreaterThan(0)
    const share = found.weights.reduce((sum, w) => sum + w.oscillating * w.elements, 0) / found.elements
    expect(share).toBeCloseTo(found.oscillating, 9)
    // To look at weights changes nothing about them.
    const plain = await trainQat(model, more)
    expect(tracked.report.history).toEqual(plain.report.history)
    const oscillation = 'freeze:momentum=0.1,threshold=0,thresholdStart=0'
    const frozen = await trainQat(model, { ...more, oscillation, reestimateBatches: 3 })
    // Whatever has turned once is frozen, and nothing is left that oscillates.
    expect(frozen.report.oscillation?.oscillating).toBe(0)
    expect(frozen.report.oscillation?.frozen).toBeGreaterThanOrEqual(found.oscillating / 2)
    expect(frozen.report.reestimated).toBe(2)
    for (const { within } of frozen.conversion?.outputs ?? []) expect(within).toBe(1)
    expect(frozen.report.recipe.settings).toMatchObject({
      reestimateBatches: 3,
      constraints: [{ name: 'oscillation' }],
    })
    const other = { ...more, oscillation, quantization: { ...more.quantization, weightQuantizer: 'dorefa' } }
    await expect(trainQat(model, other)).rejects.toThrow(/OSCILLATION_QUANTIZER/)
  })
})
