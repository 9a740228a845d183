import { nodeEngine } from '@fewbit/engine-node'
import { countingEngine, fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it, vi } from 'vitest'
import type { Dataset, Feeds } from '../engine/index.ts'
import { type Model, parseModel, readModel, serializeModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { checkStage, structuralHash } from '../passes/index.ts'
import { summarizePlan } from '../quant/index.ts'
import { FewbitError } from '../util/index.ts'
import { planModel, type QuantizeOptions, type QuantizeResult, quantize } from './quantize.ts'
import type { ProgressEvent } from './run.ts'
import { CORE_VERSION } from './version.ts'

// A quarter of a second for each of six rounds: latency has tests of its own.
vi.mock('./latency.ts', () => ({ measureLatency: async () => ({ float: 2, quantized: 1, ratio: 0.5 }) }))

const engine = nodeEngine({ threads: 1 })

const PICTURE = { x: [1, 4, 8, 8] }
const pictures = (count = 12, name = 'pictures'): Dataset => memoryData(normalData(PICTURE, count), [], name)

const quantized = (model: Model, options: Partial<QuantizeOptions> = {}): Promise<QuantizeResult> =>
  quantize(model, { engine, smallLayers: 'integer', calibration: { data: pictures() }, ...options })

async function failure(work: Promise<unknown>): Promise<FewbitError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FewbitError)
  return error as FewbitError
}

async function run(model: Model, feeds: Feeds): Promise<Feeds> {
  const session = await engine.load(serializeModel(model))
  return session.run(feeds).finally(() => session.release())
}

/** Element pairs of one output over many samples, one at a time. */
async function pairs(a: Model, b: Model, samples: readonly Feeds[], output: string): Promise<[number, number][]> {
  const found: [number, number][] = []
  for (const feeds of samples) {
    const [r, c] = [(await run(a, feeds))[output]?.numbers(), (await run(b, feeds))[output]?.numbers()]
    for (const [i, value] of (r ?? []).entries()) found.push([value, c?.[i] as number])
  }
  return found
}

function sqnr(list: readonly [number, number][]): number {
  const signal = list.reduce((sum, [r]) => sum + r * r, 0)
  return 10 * Math.log10(signal / list.reduce((sum, [r, c]) => sum + (c - r) ** 2, 0))
}

describe('quantize', () => {
  it('leaves the caller’s model as it was', async () => {
    const model = fixture('residual')
    const [hash, bytes] = [structuralHash(model), serializeModel(model)]
    await quantized(model)
    expect(structuralHash(model)).toBe(hash)
    expect(Buffer.compare(serializeModel(model), bytes)).toBe(0)
  })

  it('counts every element for an observer that a sample would mislead', async () => {
    // 76,800 elements of the input: more than a sampled histogram holds.
    const samples = 300
    const digest = async (observer: string) => {
      const { recipe } = await quantized(fixture('residual'), {
        calibration: { data: pictures(samples), samples, observer },
      })
      return recipe.calibrationDigest
    }
    const [entropy, mse, percentile] = [await digest('entropy'), await digest('mse'), await digest('percentile')]
    expect(mse).toBe(percentile)
    expect(entropy).not.toBe(mse)
  })

  it('returns a model that keeps its word: inputs, outputs, pairs of quantizers, and integers inside', async () => {
    const model = fixture('residual')
    const result = await quantized(model, { calibration: { data: pictures(), observer: 'minmax' } })
    expect(checkStage(result.model, 'qdq', defaultOps)).toEqual([])
    const ports = ({ graph }: Model) => [graph.inputs.map((v) => [v.name, v.type]), graph.outputs.map((v) => v.name)]
    expect(ports(result.model)).toEqual(ports(model))
    const types = [...result.model.graph.nodes].map((n) => n.opType)
    expect(types.filter((t) => t === 'QuantizeLinear').length).toBeGreaterThanOrEqual(4)
    const weights = [...result.model.graph.initializers].filter((v) => v.constant?.dtype === 'int8')
    // Nothing of the float weights is left beside the three integer ones.
    expect(weights.filter((v) => (v.constant?.dims.length ?? 0) === 4)).toHaveLength(3)
    expect(
      [...result.model.graph.initializers].filter((v) => v.constant?.dtype === 'float32' && v.constant.size > 8),
    ).toEqual([])
  })

  it('reports what can be measured again on the result', async () => {
    const model = fixture('residual')
    const {
      report,
      model: int8,
      plan,
    } = await quantized(model, { calibration: { data: pictures(), observer: 'minmax' } })
    expect(report.bytes).toEqual({ before: serializeModel(model).length, after: serializeModel(int8).length })
    expect(report.plan).toEqual(summarizePlan(plan))
    const list = await pairs(model, int8, normalData(PICTURE, 12), 'y')
    // Float sums in other orders: 1e-6 of the signal, far below the noise of 8 bits.
    expect(report.fidelity.metrics.sqnr).toBeCloseTo(sqnr(list), 2)
    expect(report.fidelity.metrics['max-error']).toBeCloseTo(Math.max(...list.map(([r, c]) => Math.abs(c - r))), 4)
    expect(report.fidelity.samples).toBe(12)
    expect(report.layers.at(-1)).toMatchObject({ value: 'y', count: 12 * 4 * 64 })
    expect(report.layers.at(-1)?.sqnr).toBeCloseTo(sqnr(list), 2)
    const sorted = report.layers.map((l) => l.sqnr).sort((a, b) => a - b)
    expect(report.worst.map((l) => l.sqnr)).toEqual(sorted.slice(0, 5))
    expect(report.calibration).toEqual({ data: 'pictures', samples: 12, synthetic: false })
    // Per sample: 8·8 positions, 4 filters, of 4·9, 4·9 and 4 products.
    expect(report.plan.macs).toBe(64 * 4 * (36 + 36 + 4))
    expect(report.plan.integerShare).toBe(1)
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  })

  it('names only evaluated samples, before and after, by the metrics that labels and reference allow', async () => {
    const model = fixture('convolutional')
    const feeds = normalData({ x: [1, 3, 8, 8] }, 16)
    const labels = await Promise.all(
      feeds.map(async (f, i) => (i < 12 ? argmax(await run(model, f)) : 4 - argmax(await run(model, f)))),
    )
    const right = (await Promise.all(feeds.map(async (f) => argmax(await run(model, f))))).filter(
      (c, i) => c === labels[i],
    )
    const data = memoryData(feeds, labels, 'scored')
    const { report, recipe } = await quantized(model, { calibration: { data }, evaluation: { data } })
    expect(report.evaluation?.before).toMatchObject({
      data: 'scored',
      samples: 16,
      metrics: { top1: (100 * right.length) / 16 },
    })
    expect(Object.keys(report.evaluation?.after.metrics ?? {})).toEqual(['top1', 'sqnr', 'cosine', 'agreement'])
    expect(recipe.settings.metrics).toBeUndefined()
    const few = await quantized(model, {
      calibration: { data },
      evaluation: { data, samples: 5, metrics: ['top1', 'mse'] },
    })
    expect(few.report.evaluation?.before).toMatchObject({ samples: 5, metrics: { top1: 100 } })
    expect(Object.keys(few.report.evaluation?.before.metrics ?? {})).toEqual(['top1'])
    expect(Object.keys(few.report.evaluation?.after.metrics ?? {})).toEqual(['top1', 'mse'])
  })

  it('serves several outputs, also one that a later layer reads', async () => {
    const model = fixture('residual')
    const inner = [...model.graph.nodes].find((n) => n.outputs[0]?.name === 'r1')?.outputs[0]
    if (inner) model.graph.outputs.push(inner)
    const result = await quantized(model)
    expect(result.model.graph.outputs.map((v) => v.name)).toEqual(['y', 'r1'])
    for (const output of ['y', 'r1']) {
      expect(sqnr(await pairs(model, result.model, normalData(PICTURE, 4), output))).toBeGreaterThan(25)
    }
  })

  it('gives the same parameters whether the batch is fixed at one or open', async () => {
    const open = fixture('residual')
    const fixed = readModel(serializeModel(open))
    for (const value of [...fixed.graph.inputs, ...fixed.graph.outputs]) {
      value.type = { ...value.type, shape: [1, 4, 8, 8] } as typeof value.type
    }
    const observer = 'minmax'
    const [a, b] = [
      await quantized(open, { calibration: { data: pictures(), observer } }),
      await quantized(fixed, { calibration: { data: pictures(), observer } }),
    ]
    expect([...b.params.keys()]).toEqual([...a.params.keys()])
    for (const [group, params] of a.params) {
      // Ranges of float activations, computed in another order for other batch sizes.
      const other = b.params.get(group)
      expect(Array.from(other?.scale ?? [])).toEqual(Array.from(params.scale, (s) => expect.closeTo(s, 6)))
    }
    expect(b.model.graph.inputs[0]?.type).toMatchObject({ shape: [1, 4, 8, 8] })
  })

  it('calibrates on the samples asked for and no others', async () => {
    const calibrated = (data: Dataset) =>
      quantized(fixture('residual'), { calibration: { data, samples: 6, observer: 'minmax' } })
    const [some, all] = [await calibrated(pictures(6)), await calibrated(pictures(40))]
    expect(all.report.calibration.samples).toBe(6)
    expect(all.recipe.calibrationDigest).toBe(some.recipe.calibrationDigest)
    expect([...all.params]).toEqual([...some.params])
  })

  it('scores unlabelled data, and by reference metrics alone', async () => {
    const calibration = { data: pictures(), observer: 'minmax' }
    const unlabelled = await quantized(fixture('residual'), { calibration, evaluation: { data: pictures(5) } })
    expect(unlabelled.report.evaluation?.before).toMatchObject({ samples: 5, metrics: {} })
    expect(Object.keys(unlabelled.report.evaluation?.after.metrics ?? {})).toEqual(['sqnr', 'cosine'])
    const evaluation = { data: pictures(5), metrics: ['mse'] }
    const { report } = await quantized(fixture('residual'), { calibration, evaluation })
    expect(report.evaluation?.before.metrics).toEqual({})
    expect(report.evaluation?.after.metrics.mse).toBeGreaterThan(0)
  })
})

function argmax(outputs: Feeds): number {
  const values = Array.from(Object.values(outputs)[0]?.numbers() ?? [])
  return values.indexOf(Math.max(...values))
}

describe('the recipe', () => {
  it('stands in the metadata of the saved model with all that the run depended on', async () => {
    const overrides = [{ match: { name: /^c2$/i }, scheme: 'float' }]
    const { model, recipe, report } = await quantized(fixture('residual'), { overrides, seed: 7, perTensor: true })
    const saved = readModel(serializeModel(model))
    expect(saved.producerName).toBe('fewbit')
    const read = JSON.parse(saved.metadata.get('fewbit.recipe') ?? '')
    expect(read).toEqual(JSON.parse(JSON.stringify(recipe)))
    expect(read).toMatchObject({
      format: 'fewbit-recipe',
      version: 2,
      modelDigest: structuralHash(fixture('residual')),
      settings: { scheme: 'w8a8', seed: 7, perTensor: true, samples: 128, smallLayers: 'integer', observer: 'auto' },
      data: { kind: 'pictures', samples: 12 },
      versions: { fewbit: CORE_VERSION, engine: `${engine.name} ${engine.version}` },
    })
    expect(read.settings.overrides).toEqual([{ match: { name: { pattern: '^c2$', flags: 'i' } }, scheme: 'float' }])
    expect(read.choice).toEqual({
      observer: report.choice.observer,
      observers: report.choice.observers,
      floatNodes: report.choice.floatNodes,
    })
    expect(read.calibrationDigest).toMatch(/^[0-9a-f]{64}$/)
    const values = normalData(PICTURE, 12).flatMap((f) => Array.from(f.x?.numbers() ?? []))
    const mean = values.reduce((a, b) => a + b, 0) / values.length
    const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)
    expect(read.inputs).toEqual([
      {
        input: 'x',
        mean: expect.closeTo(mean, 5),
        std: expect.closeTo(std, 2),
        min: Math.min(...values),
        max: Math.max(...values),
      },
    ])
  })

  it('has a digest that changes with the data', async () => {
    const calibrate = (seed: number) => ({
      calibration: { data: memoryData(normalData(PICTURE, 4, seed)), observer: 'minmax' },
    })
    const digest = async (seed: number) =>
      (await quantized(fixture('residual'), calibrate(seed))).recipe.calibrationDigest
    const first = await digest(1)
    expect(await digest(1)).toBe(first)
    expect(await digest(2)).not.toBe(first)
  })
})

describe('options', () => {
  it.each([
    [{ perTenso: true }, 'OPTION_UNKNOWN', 'did you mean "perTensor"?'],
    [{ calibration: { data: pictures(), sampels: 3 } }, 'OPTION_UNKNOWN', 'did you mean "samples"?'],
    [{ calibration: { data: pictures(), observer: 'kl' } }, 'OPTION_INVALID', 'choose one of auto, minmax'],
    [{ calibration: { data: pictures(), samples: 0 } }, 'OPTION_INVALID', 'samples'],
    [{ somethingElse: 1 }, 'OPTION_UNKNOWN', 'known options: target, scheme'],
    [{ overrides: [{ match: { nam: 'fc' } }] }, 'OPTION_UNKNOWN', 'overrides.0.match.nam'],
    [{ scheme: 'int8' }, 'SCHEME_UNKNOWN', 'w8a8'],
    [{ target: 'some-backend' }, 'TARGET_UNKNOWN', 'onnxruntime'],
    [{ target: 'tensort' }, 'TARGET_UNKNOWN', 'did you mean "tensorrt"?'],
  ])('%j is refused with help', async (options, code, help) => {
    const error = await failure(quantized(fixture('residual'), options as unknown as Partial<QuantizeOptions>))
    expect(error.code).toBe(code)
    expect(error.message).toContain(help)
  })
})

describe('networks that cannot be quantized', () => {
  it('are refused when they are quantized already', async () => {
    const { model } = await quantized(fixture('residual'))
    expect((await failure(quantized(model))).code).toBe('PLAN_ALREADY_QUANTIZED')
    expect((await failure(planModel(model, { engine }))).code).toBe('PLAN_ALREADY_QUANTIZED')
  })

  it('are refused when they would train', async () => {
    const text = `m (float32[N,4,8,8] x, float32[4] g, float32[4] b, float32[4] mean, float32[4] var) => (float32[N,4,8,8] y) {
      y, m2, v2 = BatchNormalization<training_mode = 1>(x, g, b, mean, var) }`
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> ${text}`)
    for (const value of model.graph.inputs.splice(1)) {
      value.constant = Tensor.float32([4], [1, 1, 1, 1])
      model.graph.initializers.add(value)
    }
    expect((await failure(planModel(model, { engine }))).code).toBe('SPEC_TRAINING')
  })

  it('come back as float, with a warning that says why', async () => {
    const text = 'm (float32[N,4,8,8] x) => (float32[N,4,8,8] y) { e = Exp(x) y = Neg(e) }'
    const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> ${text}`)
    const { model: result, report, plan, diagnostics } = await quantized(model)
    const warning = diagnostics.find((d) => d.code === 'PLAN_NOTHING')
    expect(warning?.notes?.join()).toContain('Exp: ONNX Runtime CPU has no integer kernel for Exp')
    expect(diagnostics.filter((d) => d.code === 'PLAN_NOTHING')).toHaveLength(1)
    expect([...result.graph.nodes].map((n) => n.opType)).toEqual(['Exp', 'Neg'])
    expect(plan.tensors).toEqual([])
    expect(report.fidelity.metrics.sqnr).toBe(Number.POSITIVE_INFINITY)
    expect(report.choice.floatNodes).toEqual([])
  })

  it('are as they were under the scheme float, without a warning', async () => {
    const { report, diagnostics } = await quantized(fixture('residual'), { scheme: 'float' })
    expect(report.plan.nodes.integer).toBe(0)
    expect(diagnostics.filter((d) => d.code.startsWith('PLAN'))).toEqual([])
  })
})

describe('progress and abortion', () => {
  it('announces each stage once, steps towards the total, and ends it', async () => {
    const events: ProgressEvent[] = []
    const { report } = await quantized(fixture('residual'), { onProgress: (e) => events.push(e) })
    let open: string | undefined
    for (const { stage, state, done, total, seconds } of events) {
      if (state === 'start') expect(open).toBeUndefined()
      else expect(stage).toBe(open)
      open = state === 'end' ? undefined : stage
      if (state === 'progress') expect(done).toBeLessThanOrEqual(total ?? Number.POSITIVE_INFINITY)
      expect(seconds !== undefined).toBe(state === 'end')
    }
    expect(open).toBeUndefined()
    const stages = events.filter((e) => e.state === 'start').map((e) => e.stage)
    const expected = [
      'prepare',
      'plan',
      'check data',
      'calibrate',
      'search',
      'write',
      'analyze',
      'compare outputs',
      'time',
    ]
    expect(stages).toEqual(expected)
    expect(Object.keys(report.seconds)).toEqual(expected)
    for (const stage of ['calibrate', 'analyze', 'compare outputs']) {
      const last = events.findLast((e) => e.stage === stage && e.state === 'progress')
      expect(last).toMatchObject({ done: 12, total: 12 })
    }
  })

  it.each(['prepare', 'calibrate', 'search', 'analyze', 'compare outputs', 'evaluate'])(
    'stops in %s with the signal’s reason',
    async (stage) => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const counting = countingEngine(engine)
      const onProgress = (event: ProgressEvent) => event.stage === stage && controller.abort(reason)
      const work = quantized(fixture('residual'), {
        engine: counting.engine,
        evaluation: { data: pictures(5) },
        signal: controller.signal,
        onProgress,
      })
      expect(await work.catch((error: unknown) => error)).toBe(reason)
      expect(counting.open()).toBe(0)
    },
  )
})
