import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, fewbit, ROOT } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, labels, npz } from './numpy.ts'

const VERBS = [
  'inspect',
  'optimize',
  'evaluate',
  'quantize',
  'analyze',
  'why',
  'lint',
  'export',
  'recipe',
  'targets',
  'observers',
  'ops',
  'demo',
]

describe('help', () => {
  it('lists the verbs, and shows an example for each', async () => {
    const { code, out } = await fewbit('--help')
    expect(code).toBe(0)
    for (const verb of VERBS) expect(out).toMatch(new RegExp(`^  ${verb} `, 'm'))
    expect((await fewbit()).out).toBe(out)
  })

  it.each(VERBS)('of %s shows examples that start with the verb', async (verb) => {
    const { code, out } = await fewbit(verb, '--help')
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`Examples?:\\n  fewbit ${verb}`))
  })
})

/** One table row: its first cell and the cells after it, which two spaces or more separate. */
const row = (text: string, name: string): string[] | undefined =>
  text
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/))
    .find((cells) => cells[0] === name)
    ?.slice(1)

describe('a stranger walks through the verbs', () => {
  const work = new Folder()
  const model = work.at('small.onnx')
  const int8 = work.at('small.int8.onnx')
  const calib = work.at('calib.npz')
  const test = work.at('test.npz')

  beforeAll(async () => {
    await saveModel(smallCnn(), model)
    work.put('calib.npz', npz({ x: floats([32, 3, 8, 8], (i) => Math.sin(i * i)) }))
    const y = labels(Array.from({ length: 20 }, (_, i) => i % 4))
    work.put('test.npz', npz({ x: floats([20, 3, 8, 8], (i) => Math.cos(i * i)), y }))
  })

  it('inspect', async () => {
    const { out, err } = await fewbit('inspect', model)
    // conv1 3·3·3·16 and conv2 16·3·3·16 multiply-accumulates on 64 pixels, fc 16·4; BatchNorm has four parameters a channel.
    expect(row(out, 'MACs')).toEqual(['175 k'])
    expect(row(out, 'parameters')).toEqual([String(3 * 9 * 16 + 16 + 4 * 16 + 16 * 9 * 16 + 16 + 16 * 4 + 4)])
    expect(row(out, 'inputs')).toEqual(['x float32[N, 3, 8, 8]'])
    expect(row(out, 'Conv')).toEqual(['2'])
    expect(err).toBe('')
  })

  it('optimize', async () => {
    const { out } = await fewbit('optimize', model, '-o', work.at('slim.onnx'))
    expect(row(out, 'nodes')).toEqual(['8', '7'])
    expect(row(out, 'BatchNormalization')).toEqual(['1', '0'])
    expect(out).toContain('fold-batchnorm ×1')
  })

  it('quantize, on data and scored on other data', async () => {
    const { out, err } = await fewbit('quantize', model, '--data', calib, '--eval-data', test, '-o', int8)
    const [before, after] = row(out, 'top1') ?? []
    // 20 samples: whole steps of 5 %.
    for (const score of [before, after]) expect(score).toMatch(/^\d+[05]?\.00 %$/)
    expect(row(out, 'MACs in integers')).toEqual(['–', '100.0 %'])
    expect(row(out, 'latency, one sample')?.[1]).toMatch(/^[\d.]+ [µm]s \(\d\.\d\d×\)$/)
    expect(out).toContain(`calibrated on 32 samples of ${calib}`)
    expect(out).toMatch(/^stages: prepare .*calibrate .*s$/m)
    expect(out).toMatch(/^peak memory: [\d.]+ [MG]B$/m)
    expect(out).toMatch(/worst layers/)
    expect(out.trimEnd().split('\n').at(-1)).toBe(`wrote ${int8}`)
    expect(err).toMatch(/^calibrate: .* 32 done$/m)
  })

  it('evaluate', async () => {
    const { out } = await fewbit('evaluate', int8, '--data', test, '--against', model)
    expect(row(out, 'samples')).toEqual(['20'])
    expect(row(out, 'sqnr')?.[0]).toMatch(/^\d+\.\d\d dB$/)
    expect(row(out, 'cosine')?.[0]).toMatch(/^[01]\.\d{6}$/)
  })

  it('analyze', async () => {
    const { out } = await fewbit('analyze', model, int8, '--data', calib, '--samples', '4')
    expect(out).toContain('4 samples')
    expect(row(out, 'fc')?.slice(0, 2)).toEqual(['Gemm', expect.stringMatching(/^\d+\.\d dB$/)])
    expect(out).toMatch(/worst .*:\n {2}1\. /)
  })

  it('why', async () => {
    expect((await fewbit('why', model, '--node', 'relu1')).out).toContain('absorbed')
    expect((await fewbit('why', model, '--node', 'fc', '--override', 'op=Gemm:float')).out).toContain('stays in float')
  })

  it('says what random data are worth', async () => {
    const { out } = await fewbit('evaluate', int8, '--data', 'random', '--against', model)
    expect(out).toContain('random numbers')
  })

  const documents: [string, string[], string[]][] = [
    ['inspect', ['inspect', model], ['0']],
    ['optimize', ['optimize', model, '-o', work.at('slim.onnx')], ['before', 'after', 'trace']],
    ['plan', ['quantize', model, '--stop-after', 'plan', '-o', work.at('plan.json')], ['plan', 'diagnostics']],
    [
      'quantize',
      ['quantize', model, '--data', calib, '-o', int8],
      ['report', 'plan', 'recipe', 'trace', 'diagnostics'],
    ],
    ['evaluate', ['evaluate', int8, '--data', test], ['metrics', 'samples', 'secondsPerSample']],
    ['analyze', ['analyze', model, int8, '--data', calib], ['format', 'layers', 'tensors', 'command']],
    ['why', ['why', model, '--node', 'conv1'], ['explanation', 'text']],
  ]

  it.each(documents)('%s --json prints one document and nothing else', async (_, args, keys) => {
    const { code, out, err } = await fewbit(...args, '--json')
    expect(code).toBe(0)
    expect(Object.keys(JSON.parse(out))).toEqual(expect.arrayContaining(keys))
    expect(out).not.toContain('null')
    if (args[0] !== 'inspect') expect(err).toMatch(/^\w+: [\d.]+ m?s/m)
  })

  it('a plan can be read without the network', () => {
    const plan = JSON.parse(readFileSync(work.at('plan.json'), 'utf8')) as { nodes: { node: string }[]; target: string }
    expect(plan.target).toBe('onnxruntime')
    expect(plan.nodes.map(({ node }) => node)).toContain('conv2')
  })
})

const DATA = process.env.FEWBIT_DATA ?? join(ROOT, '../shared/data')

describe.skipIf(!existsSync(DATA))('a ResNet-20 that other people trained (needs the shared data)', () => {
  const work = new Folder()
  const model = join(DATA, 'models/cifar_resnet20.onnx')
  const preprocess = '--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225'.split(' ')

  it('keeps its accuracy within a point of float in int8, at a third of its size', async () => {
    const args = [
      '--data',
      join(DATA, 'cifar10/calib200.npz'),
      '--eval-data',
      join(DATA, 'cifar10/test_lossless322.npz'),
    ]
    const { code, out } = await fewbit('quantize', model, ...args, ...preprocess, '-o', work.at('int8.onnx'), '--json')
    expect(code).toBe(0)
    const { report } = JSON.parse(out) as {
      report: { bytes: { before: number; after: number }; evaluation: Record<string, { metrics: { top1: number } }> }
    }
    expect(report.evaluation.before?.metrics.top1).toBeCloseTo(94.72, 2)
    // One point of 322 samples is three pictures; the file is 1.1 MB, of which the weights shrink to a quarter.
    expect(report.evaluation.after?.metrics.top1).toBeGreaterThan(93.72)
    expect(report.bytes.after / report.bytes.before).toBeLessThan(0.34)
  })
})
