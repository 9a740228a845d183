import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, newModel, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { batches, modelInputs } from '../../engine/index.ts'
import { qatOps } from '../../fake-quantizers/index.ts'
import { type Model, Tensor, tensorType } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { quantize } from '../../pipeline/index.ts'
import { TrainingRun } from '../../training/index.ts'
import { must, rng, roundHalfEven } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { weightedLayers } from '../rounding/weighted-layer.ts'
import { RECONSTRUCTION_OPTIONS, type ReconstructionOptions } from './reconstruction-options.ts'
import { type FormOptions, type TrainingForm, trainingForm } from './training-form.ts'
import { Journey, type UnitData } from './unit-data.ts'
import { partOf } from './unit-part.ts'
import { type Decision, unitStep } from './unit-step.ts'
import { unitsOf } from './units.ts'

const engine = nodeEngine({ threads: 1 })
const ops = qatOps(defaultOps)
const [SAMPLES, INPUTS, OUTPUTS, PIXELS] = [4, 2, 3, 9]
const WEIGHT_SCALES = [0.11, 0.13, 0.17]
const INPUT_SCALE = 0.5
const DECISION = { weight: 0.3, warmStart: 0 }

const random = rng(5)
const uniform = (size: number, reach: number) =>
  Float32Array.from({ length: size }, () => reach * (2 * random.next() - 1))
const WEIGHT = uniform(OUTPUTS * INPUTS, 0.7)
const BIAS = uniform(OUTPUTS, 0.5)

/** Relu(W x + b) at each of 3 × 3 positions. */
function network(): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', ['N', INPUTS, 3, 3]))
  const inputs = [
    x,
    b.constant('w', Tensor.float32([OUTPUTS, INPUTS, 1, 1], WEIGHT)),
    b.constant('b', Tensor.float32([OUTPUTS], BIAS)),
  ]
  b.output(b.op('Relu', [b.op('Conv', inputs)], {}, { output: 'y' })).type = tensorType('float32', ['N', OUTPUTS, 3, 3])
  return model
}

/** The network's only unit, quantized to 4 bits with scales of our own. */
async function unit(
  form: FormOptions,
  biases: readonly string[] = [],
): Promise<{ form: TrainingForm; data: UnitData }> {
  const dataset = memoryData(normalData({ x: [1, INPUTS, 3, 3] }, SAMPLES))
  const { plan, params, float } = await quantize(network(), {
    ...{ engine, target: 'academic', scheme: 'w4a4', edgeBits: 4 },
    calibration: { data: dataset, observer: 'minmax' },
    overrides: [{ match: {}, granularity: 'channel' }],
  })
  const own = new Map(params)
  const set = (group: string, scale: readonly number[]) =>
    own.set(group, { ...must(own.get(group), group), scale: scale.map(Math.fround) })
  set('w', WEIGHT_SCALES)
  set('x', [INPUT_SCALE])
  const cx = { model: float, reference: float, plan, params: own, ops: defaultOps } as unknown as QuantizedContext
  const { layers } = weightedLayers(float, plan)
  const [found] = unitsOf(float, new Set(layers.flatMap(({ nodes }) => nodes)), { granularity: 'block', depth: 6 })
  const samples = []
  for await (const batch of batches(dataset, modelInputs(float), { batchSize: SAMPLES })) samples.push(batch)
  const here = must(found, 'unit')
  const data = must(
    await new Journey(engine, samples).to(here, { model: float, load: {} }, { model: float, load: {} }),
    'data',
  )
  const part = must(partOf(float, here, data, SAMPLES, defaultOps), 'part')
  const learned = layers.map((layer) => ({ layer, start: must(layer.weight.constant, 'weight') }))
  return { form: trainingForm(part, learned, biases, cx, form, ops), data }
}

const options = (over: Partial<ReconstructionOptions> = {}) => {
  const defaults = Object.entries(RECONSTRUCTION_OPTIONS).map(([name, option]) => [name, option.default])
  return { ...(Object.fromEntries(defaults) as ReconstructionOptions), ...over }
}

async function firstStep(form: FormOptions, biases: readonly string[], decision?: Decision, over = {}) {
  const { form: written, data } = await unit(form, biases)
  const run = await TrainingRun.load(engine, unitStep(written, options({ biasRate: 0.01, ...over }), decision, ops))
  const feeds: Record<string, Tensor> = { x: must(data.seen.get('x'), 'x').all() }
  for (const input of written.float.values()) feeds[input] = must(data.float.get('x'), 'x').all()
  for (const noise of written.noise)
    feeds[noise.name] = Tensor.float32([SAMPLES, INPUTS, 3, 3], uniform(SAMPLES * INPUTS * PIXELS, 0).fill(0.5))
  const target = must(data.targets.get('y'), 'y').all()
  const { loss } = await run.advance({ feeds, targets: { y: target } }, { lr: 1, total: 1 })
  const state = run.fullState()
  await run.release()
  /** The first moment of Adam is a tenth of the first gradient. */
  const gradient = (name: string) =>
    must(state.get(`${name}/first`), name)
      .numbers()
      .map((m: number) => 10 * m)
  return { loss, gradient, data, form: written, state }
}

const PLAIN = { weights: 'rounding', prob: 1, scales: true, weighed: false } as const

/** The loss of the papers in double: mean over samples and positions of Σ |y − t|², and λ Σ (1 − |2h − 1|^β) with β = 20. */
function oracle(
  data: UnitData,
  v: ArrayLike<number>,
  bias: ArrayLike<number>,
  { quantized }: { quantized: boolean },
): number {
  const [x, t] = [must(data.seen.get('x'), 'x').all().numbers(), must(data.targets.get('y'), 'y').all().numbers()]
  const hOf = (value: number) => Math.min(Math.max(1.2 / (1 + Math.exp(-value)) - 0.1, 0), 1)
  const seen = (value: number) =>
    quantized ? INPUT_SCALE * Math.min(Math.max(roundHalfEven(value / INPUT_SCALE), -8), 7) : value
  let sum = 0
  for (let n = 0; n < SAMPLES; n++) {
    for (let o = 0; o < OUTPUTS; o++) {
      for (let at = 0; at < PIXELS; at++) {
        let y = bias[o] as number
        for (let i = 0; i < INPUTS; i++) {
          const s = Math.fround(WEIGHT_SCALES[o] as number)
          const w = s * (Math.floor((WEIGHT[o * INPUTS + i] as number) / s) + hOf(v[o * INPUTS + i] as number))
          y += w * seen(x[(n * INPUTS + i) * PIXELS + at] as number)
        }
        sum += (Math.max(y, 0) - (t[(n * OUTPUTS + o) * PIXELS + at] as number)) ** 2
      }
    }
  }
  let open = 0
  for (let i = 0; i < v.length; i++) open += 1 - Math.abs(2 * hOf(v[i] as number) - 1) ** 20
  return sum / (SAMPLES * PIXELS) + DECISION.weight * open
}

describe('a step of reconstruction', () => {
  it('has the loss of the papers, and goes along its gradient', async () => {
    const { loss, gradient, data, form } = await firstStep(PLAIN, ['b'], DECISION)
    const [site] = form.weights
    const name = must(site?.inputs.v, 'v')
    const v = Float64Array.from(
      must([...form.trainable.model.graph.initializers].find((x) => x.name === name)?.constant, 'v').numbers(),
    )
    const at = (index: number, by: number) =>
      oracle(
        data,
        v.map((x, i) => (i === index ? x + by : x)),
        BIAS,
        { quantized: true },
      )
    expect(loss).toBeCloseTo(at(0, 0), 4)
    const found = gradient(name)
    expect(Math.max(...found.map(Math.abs))).toBeGreaterThan(0.01)
    for (const [i, g] of found.entries()) expect(g).toBeCloseTo((at(i, 1e-4) - at(i, -1e-4)) / 2e-4, 3)
    const biased = (index: number, by: number) =>
      oracle(
        data,
        v,
        BIAS.map((x, i) => (i === index ? x + by : x)),
        { quantized: true },
      )
    for (const [i, g] of gradient('b').entries()) expect(g).toBeCloseTo((biased(i, 1e-3) - biased(i, -1e-3)) / 2e-3, 2)
  })

  it('begins at the weights as they were trained: where nothing is quantized there is no error', async () => {
    // Noise of 0.5 is below a probability of 1 and not below 0.5.
    const { loss } = await firstStep({ ...PLAIN, prob: 0.5 }, [])
    expect(loss).toBeLessThan(1e-10)
    const quantized = await firstStep({ ...PLAIN, prob: 0.51 }, [])
    expect(quantized.loss).toBeCloseTo((await firstStep(PLAIN, [])).loss, 6)
    expect(quantized.loss).toBeGreaterThan(1e-3)
  })

  it('moves scales by their rate, and not where it is 0', async () => {
    const { form, state } = await firstStep(PLAIN, [], undefined, { scaleRate: 0.01 })
    const scale = must(form.activations[0]?.inputs.scale, 'scale')
    expect(Math.abs((must(state.get(scale), 'scale').numbers()[0] as number) - INPUT_SCALE)).toBeCloseTo(
      0.01 * INPUT_SCALE,
      5,
    )
    expect((await unit({ ...PLAIN, scales: false })).form.activations).toEqual([])
  })

  it('learns weights and their scales straight through the rounding', async () => {
    const { form, state } = await firstStep({ ...PLAIN, weights: 'straight-through' }, ['b'], undefined, {
      learningRate: 0.1,
    })
    const moved = must(state.get('w'), 'w')
      .numbers()
      .map((w: number, i: number) => Math.abs(w - (WEIGHT[i] as number)))
    const step = WEIGHT_SCALES.reduce((a, b) => a + b) / 3
    for (const by of moved) expect(by === 0 || Math.abs(by - 0.1 * step) < 1e-4).toBe(true)
    expect(Math.max(...moved)).toBeGreaterThan(0)
    expect(form.trainable.parameters.map(({ kind }) => kind).sort()).toEqual([
      'bias',
      'quantizer',
      'quantizer',
      'weight',
    ])
  })
})
