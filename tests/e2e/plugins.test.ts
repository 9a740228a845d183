import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXPORTERS, registriesWith } from '@fewbit/core'
import { parseModel } from '@fewbit/core/ir'
import type { TensorPlan } from '@fewbit/core/quant'
import {
  algorithmContract,
  exporterContract,
  fixture,
  memoryData,
  normalData,
  observerContract,
  opContract,
  targetContract,
} from '@fewbit/testkit'
import { evaluate, loadModel, loadPlugin, nodeEngine, planModel, quantize, saveModel, TARGETS, Tensor } from 'fewbit'
import { describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit, ROOT } from './harness.ts'

const example = (name: string): string => join(ROOT, 'examples', `custom-${name}`, 'plugin.js')
const load = (name: string) => loadPlugin(example(name))

const [operators, observers, targets, exporters, algorithms] = await Promise.all(
  ['operator', 'observer', 'target', 'exporter', 'algorithm'].map(load),
)
const work = new Folder()

describe('the example plugins keep the contracts of their kind:', () => {
  const checks = [
    ...(operators?.ops ?? []).flatMap((def) => opContract(def).map((c) => [`${def.type} ${c.name}`, c.run] as const)),
    ...(observers?.observers ?? []).flatMap((o) =>
      observerContract(o).map((c) => [`${o.name} ${c.name}`, c.run] as const),
    ),
    ...(targets?.targets ?? []).flatMap((t) =>
      targetContract(t, { exporters: EXPORTERS }).map((c) => [`${t.name} ${c.name}`, c.run] as const),
    ),
    ...(exporters?.exporters ?? []).flatMap((e) =>
      exporterContract(e, TARGETS.onnxruntime).map((c) => [`${e.name} ${c.name}`, c.run] as const),
    ),
    ...(algorithms?.algorithms ?? []).flatMap((a) =>
      algorithmContract(a, nodeEngine({ threads: 1 })).map((c) => [`${a.name} ${c.name}`, c.run] as const),
    ),
  ]
  it.each(checks)('%s', async (_, run) => {
    await run()
  })
})

/** A convolution between two operators that no engine knows. */
const custom = () =>
  parseModel(`<ir_version = 8, opset_import = ["": 17, "example": 1]> main (float[N,3,4,4] x) => (float[N,2,4,4] y) <float[2,3,1,1] w =
    {0.5, -1, 0.25, 1, 0.5, -0.5}> { m = example::Median3(x) [conv] c = Conv(m, w) y = example::Swish<beta = 2.0>(c) }`)

describe('the operator example', () => {
  const extensions = operators ? [operators] : []

  it('is run as the network that it stands for', async () => {
    // The median of a constant is the constant, so that c = 0.5 − 1 + 0.25 and 1 + 0.5 − 0.5 for x = 1: y = c · σ(2c).
    const ones = memoryData([{ x: Tensor.float32([1, 3, 4, 4], new Float32Array(48).fill(1)) }])
    const reference =
      parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,3,4,4] x) => (float[N,2,4,4] y) <float[2,3,1,1] w =
      {0.5, -1, 0.25, 1, 0.5, -0.5}, float[] two = {2}> { c = Conv(x, w) d = Mul(c, two) s = Sigmoid(d) y = Mul(c, s) }`)
    const { metrics } = await evaluate(custom(), { data: ones, against: reference, metrics: ['sqnr'], extensions })
    expect(metrics.sqnr).toBeGreaterThan(100)
  })

  it('is quantized around, and written with the function body that runtimes need', async () => {
    const data = memoryData(normalData({ x: [1, 3, 4, 4] }, 4))
    const { model, plan, report } = await quantize(custom(), {
      calibration: { data },
      smallLayers: 'integer',
      extensions,
    })
    expect(plan.nodes.find((n) => n.node === 'conv')?.decision).toBe('integer')
    expect(model.functions.map((f) => f.name)).toEqual(['Swish'])
    expect(report.fidelity.metrics.sqnr).toBeGreaterThan(20)
  })
})

describe('the target and exporter examples', () => {
  it('plan with the table of the plugin', async () => {
    const { plan } = await planModel(fixture('residual'), {
      target: 'example-npu',
      extensions: targets ? [targets] : [],
      smallLayers: 'integer',
    })
    expect(plan.nodes.filter((n) => n.opType === 'Conv').map((n) => n.decision)).toEqual([
      'integer',
      'integer',
      'integer',
    ])
    expect(plan.nodes.find((n) => n.node === 'Relu')?.decision).toBe('fused')
    expect(plan.tensors.find((t) => t.value === 'x')?.spec).toMatchObject({ signed: true, powerOfTwo: 'ceil' })
  })

  it('write what the plan and the parameters say', () => {
    const [csv] = exporters?.exporters ?? []
    const spec = {
      bits: 8,
      signed: false,
      symmetric: false,
      quantMin: 0,
      quantMax: 255,
      granularity: { kind: 'tensor' },
    } as const
    const model = fixture('perceptron')
    const reason = { code: '', text: '' }
    const tensor = {
      value: 'a,b',
      role: 'activation',
      spec,
      source: { kind: 'imported' },
      group: 'g',
      readers: [],
      reason,
    } as const
    const plan = {
      format: 'fewbit-plan',
      version: 1,
      target: 'onnxruntime',
      scheme: 'w8a8',
      nodes: [],
      tensors: [tensor],
      diagnostics: [],
    } as const
    const params = new Map([['g', { spec, scale: [0.5], zeroPoint: [3] }]])
    const [file] = csv?.emit({ name: 'net', model, plan, params, target: TARGETS.onnxruntime }) ?? []
    expect(file?.name).toBe('net.csv')
    expect(file?.kind === 'file' && new TextDecoder().decode(file.bytes)).toBe(
      'tensor,role,type,scale,zero point\n"a,b",activation,uint8,0.5,3\n',
    )
  })
})

describe('the algorithm example', () => {
  const extensions = algorithms ? [algorithms] : []
  const quantizeBy = (sigmas: number) =>
    quantize(fixture('residual'), {
      target: 'academic',
      calibration: { data: memoryData(normalData({ x: [1, 4, 8, 8] }, 4)), observer: 'minmax' },
      algorithms: [{ name: 'clip-weights', options: { sigmas } }],
      extensions,
    })

  it('cuts weights to what its option says, and tells how far the outputs moved', async () => {
    const { float, report } = await quantizeBy(1)
    const before = fixture('residual').graph.initializers
    for (const { name, constant } of float.graph.initializers) {
      const old = [...before].find((v) => v.name === name)?.constant?.numbers()
      if (!old || constant?.dims.length !== 4) continue
      const rms = Math.sqrt(Array.from(old).reduce((sum, w) => sum + w * w, 0) / old.length)
      expect(Math.max(...Array.from(constant.numbers(), Math.abs))).toBeCloseTo(rms, 5)
    }
    expect(report.algorithms).toMatchObject([{ name: 'clip-weights', stage: 'float', changed: 3 }])
    expect(report.algorithms[0]?.deviation).toBeGreaterThan(0.01)
  })

  it('is refused with an option that it does not take', async () => {
    await expect(quantizeBy(0.5)).rejects.toThrow('option "sigmas" must be at least 1, not 0.5')
  })
})

describe('--plugin', async () => {
  const model = work.at('net.onnx')
  await saveModel(fixture('perceptron'), model)
  await saveModel(custom(), work.at('custom.onnx'))
  const out = work.at('q.onnx')
  const quantizeBy = (...more: string[]) => [
    'quantize',
    model,
    '--data',
    'random',
    '--samples',
    '4',
    '-o',
    out,
    ...more,
  ]

  it('brings names that options then take', async () => {
    const done = await fewbit(
      ...quantizeBy('--observer', 'tukey', '--plugin', example('observer'), `--plugin=${example('target')}`),
    )
    expect(done.code).toBe(0)
    const recipe = JSON.parse((await loadModel(out)).metadata.get('fewbit.recipe') ?? '{}')
    expect(recipe.choice.observer).toBe('tukey')
    const without = await fewbit(...quantizeBy('--observer', 'tukey'))
    expect(without.code).toBe(2)
    expect(without.err).toContain('Allowed choices are auto, minmax')
  })

  it('brings operators to every verb', async () => {
    const inspected = JSON.parse(
      (await fewbit('inspect', work.at('custom.onnx'), '--json', '--plugin', example('operator'))).out,
    )
    expect(inspected[0].inspection.unsupported).toEqual([])
    const asked = await fewbit('why', work.at('custom.onnx'), '--node', 'conv', '--plugin', example('operator'))
    expect(asked.out).toContain('conv (Conv')
  })

  it('brings exporters and targets to models that are quantized already', async () => {
    expect((await fewbit(...quantizeBy())).code).toBe(0)
    const tables = work.at('tables')
    const table = await fewbit('export', out, '--exporter', 'csv', '-o', tables, '--plugin', example('exporter'))
    expect(table.code).toBe(0)
    const lines = readFileSync(join(tables, 'q.csv'), 'utf8').split('\n')
    expect(lines.slice(0, 2)).toEqual([
      'tensor,role,type,scale,zero point',
      expect.stringMatching(/^x,activation,uint8,0\.\d+,\d+$/),
    ])
    const anew = await fewbit(
      'export',
      out,
      '--target',
      'example-npu',
      '-o',
      work.at('npu'),
      '--plugin',
      example('target'),
    )
    expect(anew.code).toBe(0)
    const { tensors } = JSON.parse(readFileSync(work.at('npu', 'plan.json'), 'utf8'))
    expect(tensors.map((t: TensorPlan) => t.source.kind)).toContain('imported')
  })

  it.each([
    ['a path where nothing is', () => work.at('none.js'), 'PLUGIN_MISSING', 2],
    ['a module that does not parse', () => work.put('torn.js', 'export const plugin = {'), 'PLUGIN_LOAD', 2],
    ['a module that throws', () => work.put('throws.js', "throw new Error('no luck')"), 'PLUGIN_LOAD', 2],
    ['a module without a plugin', () => work.put('other.js', 'export const ops = []'), 'PLUGIN_LOAD', 2],
    [
      'a plugin of the wrong shape',
      () => work.put('shape.js', 'export const plugin = { name: "p", observers: [{}] }'),
      'PLUGIN_INVALID',
      2,
    ],
    [
      'a name that is taken',
      () =>
        work.put(
          'taken.js',
          'const f = () => []\nexport const plugin = { name: "p", exporters: [{ name: "qdq", summary: "s", check: f, emit: f }] }',
        ),
      'PLUGIN_CONFLICT',
      2,
    ],
  ] as const)('refuses %s with one diagnostic', async (_, file, code, exit) => {
    await failsCleanly(work, code, exit, ['inspect', model, '--plugin', file()])
  })
})

it('registries hold the examples beside the built-in entries', () => {
  const all = [operators, observers, targets, exporters].flatMap((p) => p ?? [])
  const found = registriesWith(all)
  expect(Object.keys(found.exporters)).toEqual([...Object.keys(EXPORTERS), 'csv'])
})
