import { readdirSync, readFileSync } from 'node:fs'
import { TARGETS } from '@fewbit/core/targets'
import { exportArtifacts, exportModel, lint, loadModel, npzDataset, quantize, saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit } from './harness.ts'
import { oneOperator, smallCnn } from './networks.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
const model = work.at('small.onnx')
const calib = work.at('calib.npz')
const out = work.at('out')

const json = async (...args: string[]) => JSON.parse((await fewbit(...args, '--json')).out)

beforeAll(async () => {
  await saveModel(smallCnn(), model)
  work.put('calib.npz', npz({ x: floats([32, 3, 8, 8], (i) => Math.sin(i * i)) }))
  const { code } = await fewbit('quantize', model, '--data', calib, '--samples', '20', '-o', `${out}/`)
  expect(code).toBe(0)
})

describe('targets and ops', () => {
  it('lists every backend, and says the rules of one', async () => {
    const { out: text } = await fewbit('targets')
    for (const name of Object.keys(TARGETS)) expect(text).toMatch(new RegExp(`^${name} `, 'm'))
    expect((await json('targets')).map((t: { name: string }) => t.name)).toEqual(Object.keys(TARGETS))
    const one = (await fewbit('targets', 'onnxruntime')).out
    expect(one).toMatch(/^bias +32 bits, scale\(input\) · scale\(weight\)$/m)
    expect(one).toMatch(/Gemm\n {4}integer kernel; alpha = 1; beta = 1/)
    expect((await json('targets', 'onnxruntime')).ops.Conv.mode).toBe('integer')
    await failsCleanly(work, 'TARGET_UNKNOWN', 2, ['targets', 'onxruntime'])
  })

  it('lists observers with statistics and options', async () => {
    const { out } = await fewbit('observers')
    expect(out).toMatch(/^ema-quantile +series +momentum=0.9 percentile=99.999 bins=2048 +a moving average/m)
    expect((await json('observers')).find((o: { name: string }) => o.name === 'minmax')).toEqual({
      name: 'minmax',
      summary: 'the exact minimum and maximum',
      statistics: [],
      options: {},
    })
  })

  it('lists operators with what is known of them', async () => {
    const relu = (await json('ops')).find((op: { type: string }) => op.type === 'Relu')
    expect(relu).toMatchObject({
      domain: '',
      versions: [1, 6, 13, 14],
      shapes: true,
      macs: false,
      roles: ['activation'],
    })
  })
})

describe('a folder of artefacts', () => {
  it('holds the forms of the backend, plan and recipe, and their list', () => {
    const list = JSON.parse(readFileSync(`${out}/artifacts.json`, 'utf8'))
    expect(list).toMatchObject({ target: 'onnxruntime', exporters: TARGETS.onnxruntime.exporters })
    const names = list.files.map((file: { name: string }) => file.name)
    expect(names).toEqual(expect.arrayContaining(['plan.json', 'recipe.json', 'small.onnx']))
    expect(readdirSync(out).sort()).toEqual(['artifacts.json', ...names].sort())
    expect(JSON.parse(readFileSync(`${out}/plan.json`, 'utf8')).format).toBe('fewbit-plan')
  })

  it('is repeated byte for byte from the recipe in its model', async () => {
    const recipe = `${out}/small.onnx`
    const { code } = await fewbit('quantize', model, '--recipe', recipe, '--data', calib, '-o', work.at('again'))
    expect(code).toBe(0)
    for (const name of readdirSync(out)) {
      expect(readFileSync(work.at('again', name)).equals(readFileSync(`${out}/${name}`)), name).toBe(true)
    }
  })

  it('is exported from its model: the same form, another one, and for another backend', async () => {
    const copy = work.at('copy.onnx')
    expect((await fewbit('export', `${out}/small.onnx`, '-o', copy)).code).toBe(0)
    expect(readFileSync(copy).equals(readFileSync(`${out}/small.onnx`))).toBe(true)
    const args = ['--exporter', 'qoperator', '--exporter', 'qdq', '-o', work.at('forms/')]
    expect((await json('export', `${out}/small.onnx`, ...args)).files).toEqual([
      'plan.json',
      'recipe.json',
      'small.onnx',
      'small.qdq.onnx',
      'artifacts.json',
    ])
    const arm = ['--recipe', `${out}/recipe.json`, '--data', calib, '--target', 'onnxruntime-arm', '-o', work.at('arm')]
    expect((await json('export', model, ...arm)).plan.target).toBe('onnxruntime-arm')
  })

  it('goes beside a file that cannot hold it; a model stands in for what only simulates', async () => {
    const ncnn = ['quantize', model, '--data', calib, '--target', 'ncnn', '--observer', 'minmax']
    const table = await json(...ncnn, '-o', work.at('net.table'))
    expect(table.output).toBe(work.at('net'))
    expect(table.files).toEqual(expect.arrayContaining(['small.table', 'plan.json', 'recipe.json']))
    const { output, diagnostics } = await json(
      'quantize',
      model,
      '--data',
      calib,
      '--target',
      'ncnn',
      '-o',
      work.at('sim.onnx'),
    )
    expect(output).toBe(work.at('sim.onnx'))
    expect(diagnostics.map((d: { code: string }) => d.code)).toContain('OUTPUT_SIMULATION')
    expect((await fewbit('evaluate', output, '--data', calib, '--against', model)).code).toBe(0)
  })

  it('is refused where it would cost somebody something', async () => {
    const recipe = ['--recipe', `${out}/recipe.json`]
    await failsCleanly(work, 'RECIPE_OPTION', 2, [
      'quantize',
      model,
      ...recipe,
      '--data',
      calib,
      '-o',
      out,
      '--per-tensor',
    ])
    await failsCleanly(work, 'RECIPE_DATA', 1, ['quantize', model, ...recipe, '--data', 'random', '-o', out])
    await failsCleanly(work, 'OUTPUT_IS_INPUT', 2, ['export', `${out}/small.onnx`, '-o', `${out}/small.onnx`])
    await failsCleanly(work, 'EXPORTER_UNKNOWN', 2, ['export', `${out}/small.onnx`, '--exporter', 'qdp', '-o', out])
    const two = ['--exporter', 'qdq', '--exporter', 'qoperator', '-o', work.at('x.onnx')]
    await failsCleanly(work, 'OUTPUT_KIND', 2, ['export', `${out}/small.onnx`, ...two])
    await failsCleanly(work, 'FOLDER_FOREIGN', 1, ['export', `${out}/small.onnx`, '-o', work.path])
  })
})

describe('lint', () => {
  it('groups what a backend will not like, and fails only where it cannot hold the network', async () => {
    const { code, out: text } = await fewbit('lint', model, '--target', 'tensorrt')
    expect(code).toBe(0)
    expect(text).toMatch(/^tensorrt, w8a8: \d+ nodes in integers/)
    expect((await fewbit('why', model, '--node', 'fc', '--target', 'tensorrt')).out).toContain('fc (Gemm')
    const report = await json('lint', `${out}/small.onnx`)
    expect(report).toMatchObject({ target: 'onnxruntime', holds: true })
    const sine = work.at('sine.onnx')
    await saveModel(oneOperator('Sin'), sine)
    const nothing = await fewbit('lint', sine, '--target', 'onnxruntime')
    expect(nothing.code).toBe(1)
    expect(nothing.out).toMatch(/^onnxruntime cannot hold this network$/m)
    expect(nothing.out).toMatch(
      /^warning NO_KERNEL\n {2}ONNX Runtime CPU has no integer kernel for Sin\n {4}at \S+\n {2}fix /m,
    )
    expect((await lint(await loadModel(sine))).holds).toBe(false)
  })
})

describe('recipes', () => {
  it('are shown and compared', async () => {
    expect((await fewbit('recipe', 'show', `${out}/small.onnx`)).out).toMatch(/^samples +20$/m)
    const same = await fewbit('recipe', 'diff', `${out}/small.onnx`, `${out}/recipe.json`)
    expect(same.out).toBe('the recipes are the same\n')
    const other = { ...(await json('recipe', 'show', `${out}/recipe.json`)), batchSize: 3 }
    const { differences } = await json(
      'recipe',
      'diff',
      `${out}/recipe.json`,
      work.put('o.json', JSON.stringify(other)),
    )
    expect(differences).toEqual([{ path: 'batchSize', before: expect.any(Number), after: 3 }])
    await failsCleanly(work, 'RECIPE_MISSING', 1, ['recipe', 'show', model])
  })

  it('are replayed and exported by the library as well', async () => {
    const { recipe, ...result } = await quantize(await loadModel(model), {
      recipe: JSON.parse(readFileSync(`${out}/recipe.json`, 'utf8')),
      calibration: { data: npzDataset(calib) },
    })
    expect(recipe).toEqual(JSON.parse(readFileSync(`${out}/recipe.json`, 'utf8')))
    expect(exportArtifacts(result, { name: 'net', forms: 'first' }).artifacts.map((a) => a.name)).toEqual(['net.onnx'])
    expect((await exportModel(result.model, { forms: 'first' })).exporters).toEqual(['qdq'])
    await expect(exportModel(result.model, { exporter: 'qdq' } as object)).rejects.toThrow(/"exporters"/)
  })
})
