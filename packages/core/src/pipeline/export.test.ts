import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Exporter } from '../exporters/index.ts'
import { type Model, readModel, serializeModel } from '../ir/index.ts'
import { TARGETS } from '../targets/index.ts'
import { digest } from '../util/index.ts'
import { exportArtifacts } from './export.ts'
import { exportModel } from './export-model.ts'
import { type QuantizeResult, quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })
let result: QuantizeResult
beforeAll(async () => {
  const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 12))
  result = await quantize(fixture('residual'), {
    engine,
    smallLayers: 'integer',
    calibration: { data, observer: 'minmax' },
  })
})

const bytesOf = (model: Model | undefined) => digest(serializeModel(model as Model))

/** Writes what it is told to, or refuses. */
const stub = (name: string, refuses: boolean): Exporter => ({
  name,
  summary: name,
  check: () => (refuses ? [{ code: 'EXPORT_HOLDS', level: 'error', message: `${name} cannot hold "x"` }] : []),
  emit: (cx) => [
    { kind: 'file', name: `${cx.name}.txt`, bytes: new TextEncoder().encode(name) },
    { kind: 'model', name: 'float.onnx', model: cx.model },
  ],
})
const target = { ...TARGETS.onnxruntime, name: 'several', exporters: ['first', 'second', 'third'] }
const extensions = [
  { name: 'test', targets: [target], exporters: [stub('first', false), stub('second', true), stub('third', false)] },
]
const forSeveral = () => ({ ...result, plan: { ...result.plan, target: 'several' } })

describe('exportArtifacts', () => {
  it('gives the model of quantize for its own form, recipe and all', () => {
    const { artifacts, exporters } = exportArtifacts(result, { name: 'net', forms: 'first' })
    expect(exporters).toEqual(['qdq'])
    const models = artifacts.map((a) => [a.name, a.kind === 'model' ? bytesOf(a.model) : a.kind])
    expect(models).toEqual([['net.onnx', bytesOf(result.model)]])
  })

  it('tells forms of one name apart, writes what they share once, and leaves out what a backend does not need', () => {
    const { artifacts, exporters, diagnostics } = exportArtifacts(forSeveral(), { name: 'net', extensions })
    expect(artifacts.map((a) => a.name)).toEqual(['net.txt', 'float.onnx', 'net.third.txt'])
    expect(exporters).toEqual(['first', 'third'])
    expect(diagnostics.map((d) => [d.code, d.level])).toEqual([['EXPORT_SKIPPED', 'info']])
    expect(exportArtifacts(forSeveral(), { forms: 'first', extensions }).artifacts.map((a) => a.name)).toEqual([
      'model.txt',
      'float.onnx',
    ])
  })

  it('stops where a form that was asked for, or the first one, cannot be written', () => {
    expect(() => exportArtifacts(forSeveral(), { exporters: ['first', 'second'], extensions })).toThrow(
      /EXPORT_HOLDS {2}second cannot hold "x"/,
    )
    const reversed = [
      { ...extensions[0], targets: [{ ...target, exporters: ['second', 'first'] }] },
    ] as typeof extensions
    expect(() => exportArtifacts(forSeveral(), { extensions: reversed })).toThrow(/EXPORT_HOLDS/)
    expect(() => exportArtifacts(result, { exporters: ['qdp'] })).toThrow(/EXPORTER_UNKNOWN[\s\S]*qdq/)
  })
})

describe('exportModel', () => {
  const saved = () => readModel(serializeModel(result.model))

  it('gives a saved model back byte for byte for its own backend', async () => {
    const { artifacts, recipe } = await exportModel(saved(), { engine, forms: 'first' })
    expect(artifacts.map((a) => (a.kind === 'model' ? bytesOf(a.model) : a.kind))).toEqual([bytesOf(result.model)])
    expect(recipe).toEqual(result.recipe)
  })

  it('plans anew for another backend, with the ranges of the file, and has no recipe then', async () => {
    const { artifacts, plan, recipe } = await exportModel(saved(), {
      engine,
      target: 'onnxruntime-arm',
      forms: 'first',
    })
    expect(plan.target).toBe('onnxruntime-arm')
    expect(plan.tensors.find((t) => t.role === 'activation')?.spec.signed).toBe(true)
    expect(recipe).toBeUndefined()
    expect(artifacts).toHaveLength(1)
  })

  it('keeps in float what the recipe kept, and asks for the backend of a file without one', async () => {
    const conv = result.plan.nodes.find((n) => n.opType === 'Conv')?.node as string
    const model = saved()
    const { choice } = result.recipe
    model.metadata.set('fewbit.recipe', JSON.stringify({ ...result.recipe, choice: { ...choice, floatNodes: [conv] } }))
    const { plan } = await exportModel(model, { engine, target: 'onnxruntime-arm' })
    expect(plan.nodes.find((n) => n.node === conv)?.reason.code).toBe('FLOAT_NODE')
    model.metadata.clear()
    await expect(exportModel(model, { engine })).rejects.toThrow(/TARGET_MISSING[\s\S]*--target/)
  })
})
