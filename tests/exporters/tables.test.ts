import { type Artifact, EXPORTERS, type ExportContext, type Exporter, type ExporterName } from '@fewbit/core/exporters'
import { printModel, serializeModel, type Value, valuesByName } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { exporterContract, FIXTURE_NAMES, fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { READERS, type Said, saidOf, textOf } from './backend-readers.ts'
import { contextOf, copyOf, smallNetwork, VARIANTS, type VariantName } from './contexts.ts'

/** Which plans each format is shown on: the variant that its backend's table is like. */
const SHOWN: Record<string, VariantName> = {
  'aimet-0.6.1': 'onnxruntime',
  'aimet-1.0.0': 'onnxruntime',
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
  const cx = contextOf(smallNetwork(), variant)
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
  const [artifact] = EXPORTERS.nxp.emit(contextOf(smallNetwork(), 'power-of-two'))
  const text = artifact?.kind === 'model' ? printModel(artifact.model, { inline: 2 }) : ''
  await expect(text).toMatchFileSnapshot('./golden/nxp/net.onnx.txt')
})

it('stpu gives convolutions the lowest exponent of their sums', () => {
  const artifacts = EXPORTERS.stpu.emit(contextOf(smallNetwork(), 'symmetric-tensor'))
  const { c1, c2 } = JSON.parse(textOf(artifacts, '.stpu-minmax.json'))
  // By hand: √2 · 1 · 3 = 4.2 has the biased exponent 129, √9 · 2 · 4 = 24 has 131; 10 less each.
  expect([c1.emin, c2.emin]).toEqual([119, 121])
})

describe('every format refuses or says everything', () => {
  const SCHEMES = ['w8a8', 'w8a16', 'w4a8', 'w4a8g16', 'w8']
  const WIDE = new Set<VariantName>(['onnxruntime', 'symmetric'])
  it.each(FIXTURE_NAMES)('%s', (network) => {
    const model = fixture(network)
    inferShapes(model, { ops: defaultOps })
    const written = new Set<string>()
    for (const variant of Object.keys(VARIANTS) as VariantName[]) {
      for (const scheme of WIDE.has(variant) ? SCHEMES : ['w8a8']) {
        const cx = contextOf(model, variant, scheme)
        for (const [name, read] of Object.entries(READERS)) {
          const exporter = exporterOf(name)
          const found = exporter.check(cx)
          for (const { data, level } of found) {
            expect(level).toBe('error')
            expect(data?.tensors).toEqual(expect.arrayContaining([expect.any(String)]))
          }
          if (found.length > 0) continue
          written.add(name)
          const wrong = mismatches(cx, read(exporter.emit(copyOf(cx)), cx), BY_LAYER.has(name))
          expect({ variant, scheme, name, wrong }).toEqual({ variant, scheme, name, wrong: [] })
        }
      }
    }
    // Formats that no variant could write would pass without having been looked at.
    expect(written.size).toBeGreaterThan(8)
  })
})
