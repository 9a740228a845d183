import { readFileSync } from 'node:fs'
import { cloneModel, serializeModel } from '@fewbit/core/ir'
import type { Certificate, Comparison, Speed } from '@fewbit/core/pipeline'
import { PLANTED_FAULTS, plantedInputs, plantedNetwork } from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { readEmbedded } from '../../packages/report/src/embed.ts'
import { Folder, failsCleanly, fewbit } from './harness.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
const [float, quantized, faulty, data] = ['float.onnx', 'int8.onnx', 'faulty.onnx', 'data.npz'].map((n) =>
  work.at(n),
) as [string, string, string, string]

beforeAll(() => {
  const model = plantedNetwork('quantized')
  work.put('float.onnx', serializeModel(plantedNetwork('float')))
  work.put('int8.onnx', serializeModel(model))
  const broken = cloneModel(model)
  PLANTED_FAULTS.find(({ node }) => node === 'add')?.plant(broken)
  work.put('faulty.onnx', serializeModel(broken))
  const inputs = plantedInputs(4).flatMap(({ x }) => Array.from(x?.numbers() ?? []))
  work.put('data.npz', npz({ x: floats([4, 4, 8, 8], (i) => inputs[i] as number) }))
})

describe('fewbit verify', () => {
  it('writes a certificate on the engines at hand, and exits with 0 where they agree', async () => {
    const html = work.at('certificate.html')
    const { code, out } = await fewbit('verify', float, quantized, '--data', data, '--html', html, '--json')
    expect(code).toBe(0)
    const certificate = JSON.parse(out) as Certificate
    expect(certificate.engines.map(({ name, quantized: { verdict } }) => [name, verdict])).toEqual([
      ['node-cpu', 'same'],
      ['wasm', 'same'],
      ['integer:ort', 'same'],
    ])
    expect(certificate.models.quantized.name).toBe(quantized)
    const page = readFileSync(html, 'utf8')
    const json = page.match(/<script type="application\/json" id="certificate">(.*?)<\/script>/s)?.[1] ?? ''
    expect(JSON.parse(JSON.stringify(readEmbedded(json))).verdict).toBe('agree')
    expect(page.replace(/<(script|style)[^>]*>.*?<\/\1>/gs, '')).not.toMatch(/\b(src|href)=/)
    expect(page).toContain('3 engines agree on 4 samples')
  })

  it('prints tables, every tensor on request, and says of an engine that it does not exist', async () => {
    const engines = ['--engines', 'node-cpu,integer:ort']
    const { code, out } = await fewbit('verify', float, quantized, '--data', data, ...engines, '--intermediate')
    expect(code).toBe(0)
    expect(out).toMatch(/engines agree .* on 4 samples/)
    expect(out).toMatch(/conv3 +Conv +none/)
    const unknown = await fewbit('verify', float, quantized, '--data', data, '--engines', 'node-cpu,hamster')
    expect([unknown.code, unknown.err]).toEqual([2, expect.stringMatching(/ENGINE_UNKNOWN.*hamster/)])
  })
})

describe('fewbit compare', () => {
  it('names the node at which two models part, and exits with 3', async () => {
    const { code, out } = await fewbit('compare', quantized, faulty, '--data', data, '--json')
    expect(code).toBe(3)
    const { parting } = JSON.parse(out) as Comparison
    expect(parting?.node).toBe('add')
    expect(parting?.causes.map(({ name }) => name)).toContain('zero-point')
    const text = await fewbit('compare', quantized, faulty, '--data', data)
    expect(text.out).toMatch(
      /first node that parts: add \(Add\)[\s\S]*zero-point: everything is off by -0.375 \(-3 steps\)/,
    )
  })

  it('takes what rounding explains for agreement, and bounds for it from the command line', async () => {
    expect((await fewbit('compare', float, quantized, '--data', data)).code).toBe(0)
    expect((await fewbit('compare', float, quantized, '--data', data, '--sqnr', '40')).code).toBe(3)
    expect((await fewbit('compare', float, quantized, '--data', data, '--sqnr', 'much')).code).toBe(2)
  })
})

describe('verify, compare and speed on what they cannot take', () => {
  const bad = (values: (i: number) => number) => npz({ x: floats([2, 4, 8, 8], values) })
  beforeAll(() => {
    work.put(
      'nan.npz',
      bad(() => Number.NaN),
    )
    work.put('shape.npz', npz({ x: floats([2, 4, 8, 7], (i) => i) }))
    work.put('cut.onnx', serializeModel(plantedNetwork('quantized')).slice(0, 2000))
  })

  it.each(['verify', 'compare', 'speed'])('%s ends with one message', async (verb) => {
    const other = work.at('cut.onnx')
    await failsCleanly(work, 'DATA_NAN', 1, [verb, float, quantized, '--data', work.at('nan.npz')])
    await failsCleanly(work, 'DATA_SHAPE', 1, [verb, float, quantized, '--data', work.at('shape.npz')])
    await failsCleanly(work, 'ONNX_TRUNCATED', 1, [verb, float, other, '--data', data])
  })

  it('verify wants two engines, and two forms of one network', async () => {
    await failsCleanly(work, 'VERIFY_ENGINES', 2, ['verify', float, quantized, '--data', data, '--engines', 'node-cpu'])
    const other = plantedNetwork('quantized')
    const [input] = other.graph.inputs
    if (input) input.name = 'z'
    work.put('other.onnx', serializeModel(other))
    await failsCleanly(work, 'COMPARE_INPUTS', 1, ['verify', float, work.at('other.onnx'), '--data', data])
  })
})

describe('fewbit speed', () => {
  it('times both models on each engine, and says what runs on codes', async () => {
    const few = ['--rounds', '1', '--budget', '0.01']
    const { code, out } = await fewbit('speed', float, quantized, '--engines', 'node-cpu,wasm', ...few)
    expect(code).toBe(0)
    expect(out).toMatch(/node-cpu +\d+ .*s .*wasm +\d+ /s)
    expect(out).toMatch(/kernels on codes \(QLinearConv/)
    const json = JSON.parse((await fewbit('speed', float, quantized, ...few, '--json')).out) as Speed
    expect(json.engines[0]?.float?.runs).toBeGreaterThanOrEqual(5)
  })
})
