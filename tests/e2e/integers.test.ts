import { readFileSync } from 'node:fs'
import { readNpz } from '@fewbit/engine-node'
import { loadModel, npzDataset, quantize, runIntegers, saveModel } from 'fewbit'
import { describe, expect, it } from 'vitest'
import { Folder, fewbit } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
work.put('data.npz', npz({ x: floats([16, 3, 8, 8], (i) => Math.sin(i * i)) }))
const data = npzDataset(work.at('data.npz'))

async function quantizedFile(target: string): Promise<string> {
  const calibration = { data, observer: 'minmax' }
  const { model } = await quantize(smallCnn(), { target, smallLayers: 'integer', calibration })
  const path = work.at(`${target}.onnx`)
  await saveModel(model, path)
  return path
}

describe('fewbit run', () => {
  it('says that ONNX Runtime and its arithmetic agree in every code', async () => {
    const file = await quantizedFile('onnxruntime')
    const { code, out } = await fewbit('run', file, '--integer', 'ort', '--data', work.at('data.npz'), '--json')
    expect(code).toBe(0)
    const report = JSON.parse(out)
    expect(report.samples).toBe(8)
    expect(report.layers).toBeGreaterThanOrEqual(4)
    expect(report.agreement.length).toBeGreaterThanOrEqual(3)
    expect(report.agreement.filter((layer: { different: number }) => layer.different > 0)).toEqual([])
    expect(report.outputs).toMatchObject([{ output: 'y', different: 0, worstReal: 0 }])
    expect(report.bounds.every((bound: { headroomBits: number }) => bound.headroomBits > 5)).toBe(true)
  })

  it('tells where another arithmetic parts from it', async () => {
    const file = await quantizedFile('onnxruntime')
    const model = await loadModel(file)
    const report = await runIntegers(model, { data, scheme: 'pot-floor', samples: 2 })
    // Scales are no powers of two: nothing but moves is left.
    expect(report.floats.map(({ reason }) => reason).join()).toMatch(/no power of two/)
    const cut = await runIntegers(model, { data, scheme: 'megengine', samples: 2 })
    expect(cut.layers).toBeGreaterThanOrEqual(3)
    expect(cut.agreement.every(({ worst }) => worst <= 2)).toBe(true)
  })

  it('writes the codes of every layer', async () => {
    const file = await quantizedFile('onnxruntime')
    const folder = work.at('codes')
    const args = ['run', file, '--integer', 'ort', '--data', work.at('data.npz'), '--samples', '2', '--dump', folder]
    const { code, out } = await fewbit(...args)
    expect(code).toBe(0)
    expect(out).toMatch(/equal/)
    const report = JSON.parse(readFileSync(`${folder}/report.json`, 'utf8'))
    expect(report.files).toHaveLength(2)
    const codes = await readNpz(`${folder}/${report.files[1].file}`)
    for (const { value } of report.agreement) expect(codes.get(value)?.dtype).toBe('uint8')
    expect(codes.get(report.agreement[0].value)?.dims[0]).toBe(1)
    // The folder may be written again.
    expect((await fewbit(...args)).code).toBe(0)
  })

  it('runs the form with integer operators too', async () => {
    const file = await quantizedFile('onnxruntime')
    const operators = work.at('operators.onnx')
    expect((await fewbit('export', file, '--exporter', 'qoperator', '-o', operators)).code).toBe(0)
    const { out } = await fewbit('run', operators, '--integer', 'ort', '--data', work.at('data.npz'), '--json')
    const report = JSON.parse(out)
    expect(report.layers).toBeGreaterThanOrEqual(4)
    expect(report.outputs).toMatchObject([{ different: 0 }])
  })

  it.each([
    ['vitis-ai', 'pot'],
    ['megengine', 'megengine'],
  ] as const)('reads what simulates %s', async (target, scheme) => {
    const model = await loadModel(await quantizedFile(target))
    const report = await runIntegers(model, { data, scheme, samples: 4 })
    expect(report.layers).toBeGreaterThanOrEqual(3)
    expect(report.agreement.length).toBeGreaterThanOrEqual(2)
    // The simulation rounds products in float32; codes differ at ties only.
    expect(report.agreement.every(({ worst, different, elements }) => worst <= 1 && different < elements / 200)).toBe(
      true,
    )
  })

  it('finds nothing to saturate in pairs where weights have seven bits', async () => {
    const narrow = await loadModel(await quantizedFile('onnxruntime-x86'))
    const report = await runIntegers(narrow, { data, scheme: 'ort-pairs', samples: 2 })
    expect(report.bounds.map(({ saturablePairs }) => saturablePairs ?? 0).every((share) => share === 0)).toBe(true)
    expect(report.agreement.every(({ different }) => different === 0)).toBe(true)
    const full = await loadModel(await quantizedFile('onnxruntime'))
    const { bounds } = await runIntegers(full, { data, scheme: 'ort', samples: 1 })
    expect(bounds.some(({ saturablePairs = 0 }) => saturablePairs > 0)).toBe(true)
  })

  it('refuses a float network', async () => {
    await saveModel(smallCnn(), work.at('float.onnx'))
    const { code, err } = await fewbit('run', work.at('float.onnx'), '--integer', 'ort', '--data', work.at('data.npz'))
    expect(code).toBe(1)
    expect(err).toContain('INTEGER_NOTHING')
  })
})
