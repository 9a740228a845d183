import { readFileSync, symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { modelToOnnx } from '@fewbit/core/ir'
import { encodeToBytes, type proto } from '@fewbit/core/onnx'
import { loadModel, saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit } from './harness.ts'
import { logCnn, oneOperator, smallCnn } from './networks.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
const outside = new Folder()
const good = work.at('small.onnx')
const data = work.at('data.npz')
const out = work.at('out.onnx')

/** The small network with its records changed before they are encoded. */
function altered(change: (graph: proto.GraphProto) => void): Uint8Array {
  const model = modelToOnnx(smallCnn())
  change(model.graph as proto.GraphProto)
  return encodeToBytes(model)
}

/** The first weight's data in another file. */
const external = (location: string): Uint8Array =>
  altered((graph) => {
    const weight = graph.initializer[0] as proto.TensorProto
    weight.rawData = new Uint8Array()
    weight.floatData = []
    weight.dataLocation = 1
    const entry = (key: string, value: string) => ({ $typeName: 'onnx.StringStringEntryProto' as const, key, value })
    weight.externalData = [entry('location', location), entry('length', '1728')]
  })

beforeAll(async () => {
  await saveModel(smallCnn(), good)
  work.put('data.npz', npz({ x: floats([16, 3, 8, 8], (i) => Math.sin(i * i)) }))
})

const quantizeTo = (model: string, ...rest: string[]) => ['quantize', model, '--data', data, '-o', out, ...rest]

describe('a file that is no sound model', () => {
  const cases: [string, string, string | (() => Uint8Array | string), string][] = [
    ['is truncated', 'truncated.onnx', () => readFileSync(good).subarray(0, 3000), 'ONNX_TRUNCATED'],
    ['is empty', 'empty.onnx', '', 'ONNX_EMPTY'],
    ['is a web page', 'page.onnx', '<!DOCTYPE html>\n<html>404</html>\n', 'ONNX_TEXT'],
    ['is a note', 'note.onnx', 'weights are on the other machine', 'ONNX_TEXT'],
    [
      'has a cycle',
      'cycle.onnx',
      () =>
        altered((graph) => {
          const last = graph.node.at(-1) as proto.NodeProto
          for (const node of graph.node)
            node.input = node.input.map((name) => (name === 'x' ? (last.output[0] as string) : name))
        }),
      'ONNX_CYCLE',
    ],
    [
      'reads what nobody makes',
      'dangling.onnx',
      () => altered((graph) => (graph.node[2] as proto.NodeProto).input.splice(0, 1, 'ghost')),
      'ONNX_DANGLING_NAME',
    ],
    ['has data above its folder', 'above.onnx', () => external('../weights.bin'), 'ONNX_EXTERNAL_PATH'],
    ['has data in the root', 'root.onnx', () => external('/etc/passwd'), 'ONNX_EXTERNAL_PATH'],
    ['has data behind a link that leaves the folder', 'link.onnx', () => external('link.bin'), 'ONNX_EXTERNAL_PATH'],
    ['lacks its data', 'lost.onnx', () => external('lost.bin'), 'FILE_MISSING'],
  ]

  beforeAll(() => {
    outside.put('secret.bin', new Uint8Array(1728))
    symlinkSync(outside.at('secret.bin'), work.at('link.bin'))
    for (const [, name, content] of cases) work.put(name, typeof content === 'function' ? content() : content)
  })

  it.each(cases)('%s', async (_, name, __, code) => {
    const file = work.at(name)
    const failure = await failsCleanly(work, code, 1, quantizeTo(file))
    expect(failure.err).toContain(name)
    if (!code.startsWith('ONNX_EXTERNAL') && code !== 'FILE_MISSING')
      await failsCleanly(work, code, 1, ['inspect', file])
  })

  it('reads external data that lies beside the model', async () => {
    work.put('beside.onnx', external('weights.bin'))
    work.put('weights.bin', new Uint8Array(1728))
    expect(await fewbit('optimize', work.at('beside.onnx'), '-o', work.at('beside.slim.onnx'))).toMatchObject({
      code: 0,
    })
  })
})

describe('a path that is no model', () => {
  it('is missing', async () => {
    const { err } = await failsCleanly(work, 'FILE_MISSING', 1, quantizeTo(work.at('nope.onnx')))
    expect(err).toContain('nope.onnx')
  })
  it('is a folder', async () => {
    await failsCleanly(work, 'FILE_KIND', 1, ['inspect', work.folder('folder')])
  })
})

describe('a model that int8 cannot help', () => {
  it('is refused when it is quantized already', async () => {
    const int8 = work.at('small.int8.onnx')
    expect((await fewbit('quantize', good, '--data', data, '-o', int8)).code).toBe(0)
    await failsCleanly(work, 'PLAN_ALREADY_QUANTIZED', 1, quantizeTo(int8))
    expect((await fewbit('why', int8, '--node', 'fc')).out).toContain('[IMPORTED]')
  })

  it('is copied in float, with a warning, when no operator can be quantized', async () => {
    const sine = work.at('sine.onnx')
    const copy = work.at('sine.out.onnx')
    await saveModel(oneOperator('Sin'), sine)
    const { code, out: text } = await fewbit('quantize', sine, '--data', data, '-o', copy)
    expect(code).toBe(0)
    expect(text).toContain('warning PLAN_NOTHING')
    expect(text).toContain('no layer differs from float')
    const types = [...(await loadModel(copy)).graph.nodes].map((node) => node.opType)
    expect(types).toEqual(['Sin'])
  })

  it('is refused when its activations are NaN on the data, naming where they begin', async () => {
    const log = work.at('log.onnx')
    await saveModel(logCnn(), log)
    const { err } = await failsCleanly(work, 'CALIB_NONFINITE', 1, quantizeTo(log))
    expect(err).toContain('log_output')
  })
})

describe('an output that cannot be written', () => {
  const run = (path: string) => ['quantize', good, '--data', data, '-o', path]

  it('lies in a folder that does not exist', async () => {
    const { err } = await failsCleanly(work, 'FILE_MISSING', 1, run(work.at('nowhere', 'out.onnx')))
    expect(err).not.toContain('calibrate')
  })
  it('is a folder that holds something else', async () => {
    work.put('folder/mine.txt', 'precious')
    const { err } = await failsCleanly(work, 'FOLDER_FOREIGN', 1, run(work.at('folder')))
    expect(err).not.toContain('calibrate')
  })
  it('is a device', async () => {
    await failsCleanly(work, 'FILE_KIND', 1, run('/dev/full'))
  })
  it('is the float model', async () => {
    await failsCleanly(work, 'OUTPUT_IS_INPUT', 2, run(good))
    symlinkSync(good, work.at('alias.onnx'))
    await failsCleanly(work, 'OUTPUT_IS_INPUT', 2, run(work.at('alias.onnx')))
  })

  it('replaces an older file only by a complete one', async () => {
    const older = work.put('older.onnx', 'precious')
    await failsCleanly(work, 'CALIB_NONFINITE', 1, ['quantize', work.at('log.onnx'), '--data', data, '-o', older])
    expect(await readFile(older, 'utf8')).toBe('precious')
    expect((await fewbit(...run(older))).code).toBe(0)
    expect([...(await loadModel(older)).graph.nodes].length).toBeGreaterThan(7)
  })
})
