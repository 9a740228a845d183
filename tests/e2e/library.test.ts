import { readFileSync, writeFileSync } from 'node:fs'
import {
  analyze,
  evaluate,
  type FewbitError,
  imageFolder,
  inspect,
  loadModel,
  METRICS,
  npzDataset,
  OBSERVERS,
  openDataset,
  optimize,
  type ProgressEvent,
  parseOverride,
  planModel,
  quantize,
  saveModel,
  TARGETS,
  why,
} from 'fewbit'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder } from './harness.ts'
import { smallCnn } from './networks.ts'
import { npz } from './numpy.ts'

const work = new Folder()
const file = work.at('small.onnx')
const images = work.folder('calib')

async function noisyPicture(seed: number): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: 12 * 10 * 3 }, (_, i) => (i * 37 + seed * 101 + ((i * seed) % 89)) % 256)
  return sharp(pixels, { raw: { width: 12, height: 10, channels: 3 } })
    .png()
    .toBuffer()
}

beforeAll(async () => {
  await saveModel(smallCnn(), file)
  for (let i = 0; i < 12; i++) writeFileSync(work.at('calib', `${i}.png`), await noisyPicture(i))
})

const failure = (run: Promise<unknown>): Promise<FewbitError> =>
  run.then(
    () => expect.unreachable('it must fail'),
    (error: FewbitError) => error,
  )

describe('the library on Node', () => {
  it('runs the example of the documentation', async () => {
    const events: ProgressEvent[] = []
    const model = await loadModel(file)
    const result = await quantize(model, {
      target: 'onnxruntime',
      scheme: 'w8a8',
      calibration: { data: imageFolder(images, { preset: 'imagenet' }), samples: 8, observer: 'mse' },
      overrides: [{ match: { name: /^fc/ }, scheme: 'float' }],
      seed: 1,
      onProgress: (event) => events.push(event),
      signal: new AbortController().signal,
    })
    await saveModel(result.model, work.at('small.int8.onnx'))

    const decisions = Object.fromEntries(result.plan.nodes.map((node) => [node.node, node.decision]))
    expect(decisions).toMatchObject({ conv2: 'integer', fc: 'float' })
    expect(result.report.calibration).toMatchObject({ samples: 8, synthetic: false })
    expect(events.filter(({ state }) => state === 'end').map(({ stage }) => stage)).toContain('calibrate')
    const saved = await inspect(await loadModel(work.at('small.int8.onnx')))
    expect(saved.quantizers).toBeGreaterThan(0)
    expect((await inspect(model)).quantizers).toBe(0)
  })

  it('needs no engine for any verb', async () => {
    const model = await loadModel(file)
    const data = imageFolder(images, { preset: 'unit' })
    expect((await optimize(model)).after.operators.BatchNormalization).toBeUndefined()
    expect((await planModel(model)).plan.target).toBe('onnxruntime')
    expect((await why(model, 'conv1')).text).toContain('runs in integers')
    const { model: int8 } = await quantize(model, { calibration: { data } })
    const score = await evaluate(int8, { data, against: model, metrics: ['sqnr'] })
    expect(score.metrics.sqnr).toBeGreaterThan(20)
    expect((await analyze(model, int8, { data, samples: 4 })).samples).toBe(4)
  })

  it('calibrates on samples from all over the data, as the command line does', async () => {
    // Ten times larger from row 20 on.
    const rows = {
      dtype: 'float32',
      shape: [40, 3, 8, 8],
      data: Float32Array.from({ length: 40 * 192 }, (_, i) => (i < 20 * 192 ? 1 : 10) * Math.sin(i)),
    } as const
    work.put('sorted.npz', npz({ x: rows }))
    const data = npzDataset(work.at('sorted.npz'))
    const { params } = await quantize(smallCnn(), { calibration: { data, samples: 8, observer: 'minmax' } })
    expect(params.get('x')?.scale[0]).toBeGreaterThan(19 / 255)
  })

  it('stops when the signal says so', async () => {
    const controller = new AbortController()
    const run = quantize(await loadModel(file), {
      calibration: { data: imageFolder(images) },
      signal: controller.signal,
      onProgress: ({ stage }) => stage === 'calibrate' && controller.abort(),
    })
    expect((await failure(run)).name).toBe('AbortError')
  })

  it('names what can be chosen', () => {
    expect(Object.keys(METRICS)).toContain('top1')
    expect(Object.keys(OBSERVERS)).toEqual(
      expect.arrayContaining(['minmax', 'percentile', 'entropy', 'mse', 'lsq-plus']),
    )
    expect(Object.keys(TARGETS)).toEqual(expect.arrayContaining(['onnxruntime', 'onnxruntime-webgpu']))
    expect(parseOverride('name=/^fc/:float')).toEqual({ match: { name: /^fc/ }, scheme: 'float' })
    expect([npzDataset, openDataset].every((f) => typeof f === 'function')).toBe(true)
  })
})

describe('an option that does not exist', () => {
  const data = imageFolder(images)
  const calibration = { data }
  const cases: [string, Record<string, unknown>, string, string][] = [
    ['at the top', { calibration, shceme: 'w8a8' }, 'shceme', 'did you mean "scheme"?'],
    ['at the wrong level', { calibration, samples: 8 }, 'samples', 'known options: calibration'],
    ['in calibration', { calibration: { data, sample: 8 } }, 'calibration.sample', 'did you mean "samples"?'],
    ['in evaluation', { calibration, evaluation: { data, metric: ['top1'] } }, 'evaluation.metric', '"metrics"'],
  ]

  it.each(cases)('%s is refused with the nearest name', async (_, options, name, fix) => {
    const error = await failure(quantize(smallCnn(), options as unknown as Parameters<typeof quantize>[1]))
    expect(error.code).toBe('OPTION_UNKNOWN')
    expect(error.diagnostics[0]?.at?.option).toBe(name)
    expect(error.diagnostics[0]?.fix).toContain(fix)
  })

  it('is refused by every verb, and in overrides', async () => {
    const model = smallCnn()
    const bad = { foo: 1 } as object
    const runs = [
      optimize(model, bad),
      planModel(model, bad),
      why(model, 'fc', bad),
      evaluate(model, { ...bad, data }),
      analyze(model, model, { ...bad, data }),
      quantize(model, { calibration, overrides: [{ match: { nam: 'fc' } }] as never }),
      quantize(model, { calibration: { data: imageFolder(images, { presets: 'unit' } as object) } }),
    ]
    const codes = await Promise.all(runs.map(async (run) => (await failure(run)).code))
    expect(codes).toEqual([...Array(6).fill('OPTION_UNKNOWN'), 'DATA_OPTION'])
  })

  it('is told from options that are missing', async () => {
    const error = await failure(quantize(smallCnn(), {} as Parameters<typeof quantize>[1]))
    expect(error.code).toBe('OPTION_INVALID')
    expect(error.message).toContain('calibration')
  })
})

it('leaves the model of the caller alone', async () => {
  const model = await loadModel(file)
  const before = readFileSync(file)
  await quantize(model, { calibration: { data: imageFolder(images) } })
  await saveModel(model, work.at('again.onnx'))
  expect(readFileSync(work.at('again.onnx')).equals(before)).toBe(true)
})
