import { existsSync, readFileSync } from 'node:fs'
import { writeSafetensors } from '@fewbit/core/weights'
import { buildZooModel, inspect, loadModel, loadWeights, nodeEngine, readWeights, Tensor, ZOO } from 'fewbit'
import { describe, expect, it } from 'vitest'
import { Folder, fewbit } from './harness.ts'
import { npz } from './numpy.ts'

const work = new Folder()
const engine = nodeEngine()
const X = work.at('x.onnx')

/** A state_dict for resnet8: what another seed draws, which names and sizes fit. */
function state(prefix = ''): Map<string, Tensor> {
  const tensors = [...buildZooModel('resnet8', { seed: 9 }).graph.initializers].flatMap(({ name, constant }) =>
    constant?.dtype === 'float32' && constant.dims.length > 0 ? [[`${prefix}${name}`, constant] as const] : [],
  )
  return new Map(tensors)
}

async function logitsOf(path: string): Promise<number[]> {
  const session = await engine.load(await loadModel(path))
  const pixels = Float32Array.from({ length: 3072 }, (_, i) => Math.sin(i))
  const { logits } = await session.run({ input: Tensor.float32([1, 3, 32, 32], pixels) })
  await session.release()
  return [...(logits?.numbers() ?? [])]
}

describe('fewbit zoo', () => {
  it('lists every network, and tells about one', async () => {
    const list = JSON.parse((await fewbit('zoo', '--json')).out)
    expect(list.map(({ name }: { name: string }) => name)).toEqual(Object.keys(ZOO))
    const one = await fewbit('zoo', 'resnet18')
    expect(one.out).toContain('11689512')
    expect(one.out).toContain('arXiv:1512.03385')
  })

  it('writes a network that other verbs read, the same for the same seed', async () => {
    const [a, b, c] = [work.at('a.onnx'), work.at('b.onnx'), work.at('c.onnx')]
    for (const [path, seed] of [
      [a, '1'],
      [b, '1'],
      [c, '2'],
    ] as const) {
      expect(await fewbit('zoo', 'resnet8', '-o', path, '--seed', seed, '--classes', '7')).toMatchObject({ code: 0 })
    }
    expect(readFileSync(b).equals(readFileSync(a))).toBe(true)
    expect(readFileSync(c).equals(readFileSync(a))).toBe(false)
    const { outputs, inputs } = await inspect(await loadModel(a))
    expect(inputs[0]).toMatchObject({ name: 'input', shape: ['N', 3, 32, 32] })
    expect(outputs[0]).toMatchObject({ name: 'logits', shape: ['N', 7] })
    expect((await logitsOf(a)).every(Number.isFinite)).toBe(true)
  })

  it('loads weights from every form in which they come, with the same outputs', async () => {
    work.put('w.safetensors', writeSafetensors(state()))
    const arrays = [...state()].map(([name, tensor]) => {
      return [name, { dtype: 'float32', shape: tensor.dims, data: tensor.storage() }] as const
    })
    work.put('w.npz', npz(Object.fromEntries(arrays)))
    work.put('module.safetensors', writeSafetensors(state('module.')))
    await fewbit('zoo', 'resnet8', '-o', work.at('w.onnx'), '--seed', '9')
    const expected = await logitsOf(work.at('w.onnx'))
    for (const from of ['w.safetensors', 'w.npz', 'w.onnx']) {
      const outcome = await fewbit('zoo', 'resnet8', '-o', work.at('out.onnx'), '--weights', work.at(from))
      expect(outcome, from).toMatchObject({ code: 0 })
      expect(await logitsOf(work.at('out.onnx')), from).toEqual(expected)
    }
    const map = ['--map', 'module.*=*']
    await fewbit('zoo', 'resnet8', '-o', work.at('mapped.onnx'), '--weights', work.at('module.safetensors'), ...map)
    expect(await logitsOf(work.at('mapped.onnx'))).toEqual(expected)
  })

  it('keeps the trunk and draws the head where classes are others, when told so', async () => {
    work.put('trunk.safetensors', writeSafetensors(state()))
    const args = [
      'zoo',
      'resnet8',
      '-o',
      work.at('head.onnx'),
      '--classes',
      '3',
      '--weights',
      work.at('trunk.safetensors'),
    ]
    const refused = await fewbit(...args)
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('fc.weight is [3×64], and in the file [10×64]')
    expect(existsSync(work.at('head.onnx'))).toBe(false)
    const { weights } = JSON.parse((await fewbit(...args, '--partial', '--json')).out)
    expect(weights.mismatched.map(({ name }: { name: string }) => name)).toEqual(['fc.weight', 'fc.bias'])
  })

  it.each([
    ['an unknown network', ['resnet9', '-o', X], 2, 'did you mean resnet8'],
    ['options without an output', ['resnet8', '--seed', '1'], 2, 'OUTPUT_MISSING'],
    ['half a class', ['resnet8', '-o', X, '--classes', '1.5'], 2, 'whole number'],
    ['no class', ['resnet8', '-o', X, '--classes', '0'], 2, 'ZOO_OPTION'],
    ['a map without a name', ['resnet8', '-o', X, '--map', 'fc'], 2, 'pattern=name'],
    ['a pickle', ['resnet8', '-o', X, '--weights', 'net.pth'], 1, 'safetensors.torch.save_file'],
    ['missing weights', ['resnet8', '-o', X, '--weights', 'none.safetensors'], 1, 'FILE_MISSING'],
    ['no folder', ['resnet8', '-o', work.at('nowhere/x.onnx')], 1, 'FILE_MISSING'],
  ])('%s fails with one message and no file', async (_, args, code, says) => {
    const outcome = await fewbit('zoo', ...args)
    expect(outcome).toMatchObject({ code, out: '' })
    expect(outcome.err).toContain(says)
    expect(existsSync(X)).toBe(false)
  })
})

it('the library loads weights into a network of the zoo', async () => {
  work.put('lib.safetensors', writeSafetensors(state()))
  const { tensors, layout } = await readWeights(work.at('lib.safetensors'))
  const { report } = loadWeights(buildZooModel('resnet8'), tensors, { layout })
  expect(report).toMatchObject({ missing: [], mismatched: [], unused: [] })
  expect(report.loaded.length).toBe(tensors.size)
})

it('a damaged file of weights is named with its place', async () => {
  work.put('cut.safetensors', writeSafetensors(state()).subarray(0, 5000))
  await expect(readWeights(work.at('cut.safetensors'))).rejects.toThrow(/SAFETENSORS_TRUNCATED[\s\S]*cut\.safetensors/)
})
