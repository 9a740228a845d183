import { type Artifact, EXPORTERS, type ExportContext, type Exporter, type ExporterName } from '@fewbit/core/exporters'
import { type Model, parseModel, printModel, serializeModel, Tensor, type Value, valuesByName } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import type { Target } from '@fewbit/core/quant'
import { TARGETS } from '@fewbit/core/targets'
import { exporterContract, FIXTURE_NAMES, fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { READERS, type Read, type Said, saidOf, textOf } from './backend-readers.ts'
import { contextOf, copyOf, smallNetwork, VARIANTS, type VariantName } from './contexts.ts'

/** Which plans each format is shown on: the variant that its backend's table is like. */
const SHOWN: Record<string, VariantName> = {
  'aimet-0.6.1': 'onnxruntime',
  'aimet-1.0.0': 'onnxruntime',
  'aimet-2.0.0': 'onnxruntime',
  ascend: 'ascend',
  megengine: 'symmetric-tensor',
  mnn: 'quantized-outputs',
  ncnn: 'inputs',
  nnie: 'logarithmic',
  nxp: 'power-of-two',
  ppl: 'symmetric-full',
  'ppl-w8a16': 'affine',
  rknn: 'affine',
  snpe: 'affine',
  stpu: 'symmetric-tensor',
  tengine: 'affine',
  'tensorrt-cache': 'symmetric',
  'tensorrt-ranges': 'symmetric-full',
  vitis: 'power-of-two',
}

/** Layers say what their input is, wherever it comes from; other files name tensors. */
const BY_LAYER = new Set(['ncnn', 'ascend', 'nnie'])

const exporterOf = (name: string): Exporter => EXPORTERS[name as ExporterName]

/** Formats that hold whole networks of their backend: what a target that names them has to pass. */
const WHOLE = Object.entries(SHOWN).filter(([name]) => name !== 'nnie')

describe.each(WHOLE)('contract of %s', (name, variant) => {
  it.each(exporterContract(exporterOf(name), VARIANTS[variant]))('$name', ({ run }) => run())
})

describe.each(Object.entries(SHOWN))('%s', (name, variant) => {
  const cx = contextOf(smallNetwork(), VARIANTS[variant])
  const exporter = exporterOf(name)
  const artifacts = exporter.emit(copyOf(cx))
  const files = artifacts.filter((a): a is Artifact & { kind: 'file' } => a.kind === 'file')

  it('goes by its own name and accepts a plan of its kind', () => {
    expect(exporter.name).toBe(name)
    expect(exporter.check(copyOf(cx))).toEqual([])
  })

  it.each(files.map((file) => [file.name, file.bytes] as const))('writes %s as reviewed', async (file, bytes) => {
    await expect(Buffer.from(bytes).toString()).toMatchFileSnapshot(`./golden/${name}/${file}`)
  })

  it('writes the same bytes twice', () => {
    const bytes = () => exporter.emit(copyOf(cx)).map((a) => (a.kind === 'model' ? serializeModel(a.model) : a.bytes))
    expect(bytes()).toEqual(bytes())
  })

  it('is read back by its backend as the parameters of the plan', () => {
    const said = READERS[name as ExporterName]?.(artifacts, cx) ?? new Map()
    expect(mismatches(cx, said, BY_LAYER.has(name))).toEqual([])
  })
})

/** Activations and weights that the files say nothing or something else of. */
function mismatches(cx: ExportContext, said: ReadonlyMap<string, Said>, byLayer: boolean): string[] {
  const wrong: string[] = []
  const values = valuesByName(cx.model.graph)
  for (const { role, value, group } of cx.plan.tensors) {
    const params = cx.params.get(group)
    if ((role !== 'activation' && role !== 'weight') || !params) continue
    const names = byLayer ? movedTo(value, values) : [value]
    const found = names.flatMap((name) => said.get(name) ?? [])
    if (found.length === 0) wrong.push(`${value} is lost`)
    for (const one of found) if (!agree(one, saidOf(params))) wrong.push(`${value}: ${JSON.stringify(one)}`)
  }
  return wrong
}

/** The value and what nodes that move elements make of it. */
function movedTo(name: string, values: ReadonlyMap<string, Value>): string[] {
  const movers = (values.get(name)?.consumers() ?? []).filter((node) =>
    defaultOps.of(node)?.quant.traits?.includes('scale-preserving'),
  )
  const results = movers.flatMap((node) => node.outputs[0] ?? [])
  return [name, ...results.flatMap((value) => movedTo(value.name, values))]
}

/** Equal as float32, or within rounding where the backend computes; one scale may be repeated for each channel. */
function agree(found: Said, wanted: Said): boolean {
  return found.scale.every((scale, i) => {
    const expected = wanted.scale[i] ?? (wanted.scale.length === 1 ? wanted.scale[0] : Number.NaN)
    const isEqual =
      Math.fround(scale) === expected || (found.derived && Math.abs(scale / (expected as number) - 1) < 1e-6)
    return isEqual && found.zero[i] === (wanted.zero[i] ?? wanted.zero[0])
  })
}

it('nxp writes ranges beside the tensors, as reviewed', async () => {
  const [artifact] = EXPORTERS.nxp.emit(contextOf(smallNetwork(), VARIANTS['power-of-two']))
  const text = artifact?.kind === 'model' ? printModel(artifact.model, { inline: 2 }) : ''
  await expect(text).toMatchFileSnapshot('./golden/nxp/net.onnx.txt')
})

it('stpu gives convolutions the lowest exponent of their sums', () => {
  const artifacts = EXPORTERS.stpu.emit(contextOf(smallNetwork(), VARIANTS['symmetric-tensor']))
  const { c1, c2 } = JSON.parse(textOf(artifacts, '.stpu-minmax.json'))
  // By hand: √2 · 1 · 3 = 4.2 has the biased exponent 129, √9 · 2 · 4 = 24 has 131; 10 less each.
  expect([c1.emin, c2.emin]).toEqual([119, 121])
})

describe('what a format cannot hold, it refuses, naming the tensors', () => {
  const refusals = (name: string, cx: ExportContext) =>
    exporterOf(name)
      .check(cx)
      .map(({ code, message, data }) => `${code} ${message.split(': ').at(-1)} | ${data?.tensors}`)

  const cases: [string, Target, string][] = [
    [
      'tensorrt-cache',
      VARIANTS.onnxruntime,
      'it has no zero point, so that codes must be signed and symmetric | image,r1,m1,c2,f',
    ],
    ['aimet-1.0.0', VARIANTS.logarithmic, 'it knows integers only, not log2 | image,w1,r1,m1,w2,c2,f,w3'],
    ['vitis', VARIANTS['symmetric-tensor'], 'its scales are powers of two | image,w1,r1,m1,w2,c2,f,w3'],
    ['megengine', VARIANTS.symmetric, 'it has one scale for a tensor | w1,b1,w2,w3,b3'],
    ['ascend', VARIANTS.inputs, 'it has a scale for each channel of convolutions only | w3'],
    ['ncnn', VARIANTS['quantized-outputs'], 'it holds inputs of Conv, Gemm, MatMul nodes only | logits'],
    ['mnn', VARIANTS.symmetric, 'it holds layers whose inputs and results both have codes | w3'],
    ['tengine', VARIANTS.onnxruntime, 'its uint8 tool has unsigned codes for activations and weights alike | w1,w2,w3'],
    [
      'nnie',
      VARIANTS['symmetric-tensor'],
      'it knows logarithmic codes only, as NNIE computes | image,w1,r1,m1,w2,c2,f,w3',
    ],
  ]

  it.each(cases)('%s: case %#', (name, target, expected) => {
    expect(refusals(name, contextOf(smallNetwork(), target)).join('\n')).toContain(`EXPORT_HOLDS ${expected}`)
  })

  it('groups within a channel, wherever there is one scale for a channel', () => {
    const model = fixture('perceptron')
    inferShapes(model, { ops: defaultOps })
    const cx = contextOf(model, VARIANTS.symmetric, 'w4a8g16')
    expect(cx.plan.tensors.some((t) => t.spec.granularity.kind === 'group')).toBe(true)
    for (const name of ['aimet-0.6.1', 'snpe', 'ppl', 'rknn']) {
      expect(refusals(name, cx).join()).toContain('not for groups within a channel')
    }
  })

  it('but AIMET 2.0.0 nests their scales in the shape of QuantizeLinear', () => {
    const model = fixture('perceptron')
    inferShapes(model, { ops: defaultOps })
    const artifacts = EXPORTERS['aimet-2.0.0'].emit(contextOf(model, VARIANTS.symmetric, 'w4a8g16'))
    const { encodings } = JSON.parse(textOf(artifacts, '.encodings.json'))
    const w1 = encodings.find((e: { name: string }) => e.name === 'w1')
    expect(w1).toMatchObject({ output_dtype: 'int4', axis: 0, block_size: 16 })
    // 16 inputs in blocks of 16, 12 outputs.
    expect([w1.y_scale.length, w1.y_scale[0].length]).toEqual([1, 12])
  })

  it('different scales within a group of one of ncnn, and names that its reader cuts', () => {
    const text = `<ir_version = 8, opset_import = ["": 17]>
      main (float32[1,4,2,2] x) => (float32[1,4,2,2] y)
      <float32[4,2,1,1] w = {1, 1, 2, 2, 3, 3, 3, 3}> { y = Conv<group = 2>(x, w) }`
    const grouped = (name: string) => {
      const model = parseModel(text)
      inferShapes(model, { ops: defaultOps })
      for (const node of model.graph.nodes) node.name = name
      return model
    }
    expect(refusals('ncnn', contextOf(grouped('conv'), VARIANTS.inputs))).toEqual([
      'EXPORT_HOLDS it has one scale for each group of a grouped convolution; quantize this one per tensor | w',
    ])
    const target: Target = { ...VARIANTS.inputs, weights: { ...VARIANTS.inputs.weights, granularity: 'tensor' } }
    expect(refusals('ncnn', contextOf(grouped('conv'), target))).toEqual([])
    expect(refusals('ncnn', contextOf(grouped('my conv'), target)).join()).toContain('names of nodes with spaces')
  })

  it('the names that ranges of nxp take', () => {
    const cx = contextOf(smallNetwork(), VARIANTS['power-of-two'])
    cx.model.graph.addInitializer('r1_max', Tensor.float32([], [1]))
    expect(refusals('nxp', cx)).toEqual(['EXPORT_HOLDS the model has tensors of the names that its range takes | r1'])
  })
})

/** Plans to read back: of every habit, at further widths where the rules are wide, and of each backend for its own formats. */
function* plans(model: Model): Generator<{ cx: ExportContext; scheme: string; names: readonly string[] }> {
  const all = Object.keys(READERS)
  for (const target of Object.values<Target>(VARIANTS)) {
    yield { cx: contextOf(model, target), scheme: 'w8a8', names: all }
  }
  for (const scheme of ['w8a16', 'w4a8', 'w4a8g16', 'w8']) {
    yield { cx: contextOf(model, VARIANTS.symmetric, scheme), scheme, names: all }
  }
  for (const target of Object.values<Target>(TARGETS)) {
    const names = target.exporters.filter((name) => name in READERS)
    if (names.length > 0) yield { cx: contextOf(model, target), scheme: 'w8a8', names }
  }
}

describe('every format refuses or says everything', () => {
  it.each(FIXTURE_NAMES)('%s', (network) => {
    const model = fixture(network)
    inferShapes(model, { ops: defaultOps })
    const written = new Set<string>()
    for (const { cx, scheme, names } of plans(model)) {
      for (const name of names) {
        const exporter = exporterOf(name)
        const found = exporter.check(cx)
        for (const { data, level } of found) {
          expect(level).toBe('error')
          expect(data?.tensors).toEqual(expect.arrayContaining([expect.any(String)]))
        }
        if (found.length > 0) continue
        written.add(name)
        const read = READERS[name as ExporterName] as Read
        const wrong = mismatches(cx, read(exporter.emit(copyOf(cx)), cx), BY_LAYER.has(name))
        const { name: target } = cx.target
        expect({ target, scheme, name, wrong }).toEqual({ target, scheme, name, wrong: [] })
      }
    }
    // Formats that no plan could be written in would pass without having been looked at.
    expect([...written].sort()).toEqual(Object.keys(READERS).sort())
  })
})
