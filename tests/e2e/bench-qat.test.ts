import { existsSync, readFileSync, statSync } from 'node:fs'
import { structuralHash } from '@fewbit/core/passes'
import { writeSafetensors } from '@fewbit/core/weights'
import { ZOO_KEY } from '@fewbit/core/zoo'
import { buildZooModel, loadModel, saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit, isBuilt, start } from './harness.ts'
import { smallCnn } from './networks.ts'
import { quarters } from './quarters.ts'

const work = new Folder()
const at = (name: string) => work.at(name)

beforeAll(async () => {
  work.put('train.npz', quarters(32, 32, 1))
  work.put('test.npz', quarters(32, 16, 2))
  await saveModel(smallCnn(), at('small.onnx'))
})

const DATA = () => ['--data', at('train.npz'), '--eval-data', at('test.npz')]
const CELLS = ['--algorithms', 'lsq', '--targets', 'academic', '--steps', '1', '--batch', '4']
const args = (models: string, ...more: string[]) => ['bench', 'qat', '--models', models, ...DATA(), ...CELLS, ...more]
/** Cells that no training is needed for: levels that are not evenly spaced, on a backend that stores integers. */
const REFUSED = ['--algorithms', 'apot', '--targets', 'tvm']

/** Of a network with all that says how it was trained, but what the bench alone writes. */
async function hashOf(name: string): Promise<string> {
  const model = await loadModel(at(name))
  model.metadata.delete('fewbit.bench')
  return structuralHash(model)
}

describe('bench qat with a network of the zoo', () => {
  const bench = (output: string, ...more: string[]) =>
    fewbit(...args('resnet8', '--classes', '4', '-o', at(output), ...more))
  const kept = 'table.resnet8.float.onnx'

  it('trains it in float as train --zoo does, and compares what comes of it', async () => {
    const { code, out, err } = await bench('table.json', '--float-epochs', '4', '--json')
    expect(code).toBe(0)
    expect(err).toMatch(/^resnet8: training in float, 4 epochs$/m)
    expect(err).toMatch(/^evaluate: .*, epoch 4\/4, .*top1/m)
    const course = ['--zoo', 'resnet8', '--classes', '4', '--data', at('train.npz'), '--epochs', '4']
    await fewbit('train', ...course, '-o', at('alone.onnx'))
    expect(await hashOf(kept)).toBe(await hashOf('alone.onnx'))
    const { settings, float, training, cells } = JSON.parse(out)
    expect(JSON.parse(readFileSync(at('table.json'), 'utf8'))).toEqual({ ...JSON.parse(out) })
    const network = { name: 'resnet8', classes: 4, seed: 0, preset: 'cifar10' }
    const data = { kind: 'npz', name: 'train.npz', samples: 32 }
    expect(settings['float resnet8']).toMatchObject({ network, epochs: 4, seed: 1, data })
    expect(training.resnet8.settings).toMatchObject({ epochs: 4, lr: 0.025, batches: { batchSize: 32 } })
    const scored = await fewbit(
      ...['evaluate', at(kept), '--data', at('test.npz'), '--preset', 'cifar10', '--metric', 'top1', '--json'],
    )
    expect(float.resnet8.top1).toBeCloseTo(JSON.parse(scored.out).metrics.top1, 6)
    expect(cells).toMatchObject([{ model: 'resnet8', algorithm: 'lsq', target: 'academic', within: 1 }])
    expect(existsSync(at('table.resnet8.float.train.safetensors'))).toBe(false)
  })

  it('takes the kept network again, to go on or for another table', async () => {
    const before = statSync(at(kept)).mtimeMs
    const { code, out, err } = await bench('table.json', '--float-epochs', '4', ...REFUSED)
    expect(code).toBe(0)
    expect(err).toMatch(/^resnet8: the float network in .*table\.resnet8\.float\.onnx is taken again$/m)
    expect(err).not.toMatch(/^epoch/m)
    expect(out).toMatch(/^float: top1 /m)
    expect(out).toMatch(/^ *lsq +[\d.]+ % \/ [\d.]+ %/m)
    expect(out).toMatch(/^ *apot +– \(1\)/m)
    expect(statSync(at(kept)).mtimeMs).toBe(before)
  })

  it('refuses another recipe where cells depend on it, and trains anew where none do', async () => {
    const longer = args('resnet8', '--classes', '4', '--float-epochs', '3', '-o', at('table.json'))
    const { err } = await failsCleanly(work, 'BENCH_SETTINGS', 1, longer)
    expect(err).toContain('float resnet8')
    work.put('other.resnet8.float.onnx', readFileSync(at(kept)))
    const anew = await bench('other.json', '--float-epochs', '1', ...REFUSED)
    expect(anew.err).toMatch(/was trained otherwise, and is trained anew: epochs 4 then, 1 now$/m)
    expect(anew.code).toBe(0)
    expect(await hashOf('other.resnet8.float.onnx')).not.toBe(await hashOf(kept))
  })

  it('holds samples out for scores where there are no other data', async () => {
    const alone = [
      'bench',
      'qat',
      '--models',
      'resnet8',
      '--classes',
      '4',
      '--float-epochs',
      '1',
      '--data',
      at('train.npz'),
    ]
    const { code, out } = await fewbit(...alone, ...CELLS, '-o', at('held.json'), '--json')
    expect(code).toBe(0)
    const { settings, float } = JSON.parse(out)
    const [held, rest] = ['one of 10', 'all but one of 10']
    expect(settings['float resnet8'].data).toMatchObject({ name: 'train.npz', part: rest, samples: 28 })
    expect(settings['data resnet8']).toMatchObject({ part: rest, samples: 4 })
    expect(settings['evaluation resnet8']).toMatchObject({ part: held, samples: 4 })
    // Of four pictures.
    expect([0, 25, 50, 75, 100]).toContain(float.resnet8.top1)
    // What is held out is no matter of how many samples are trained on: nothing of it is trained on in float, either.
    const fewer = await fewbit(...alone, '--samples', '9', ...REFUSED, '-o', at('fewer.json'), '--json')
    const { settings: few } = JSON.parse(fewer.out)
    expect(few['float resnet8'].data).toMatchObject({ part: rest, samples: 9 })
    expect(few['evaluation resnet8']).toEqual(settings['evaluation resnet8'])
  })

  it('takes the form of a network that is made for the pictures of the first', async () => {
    work.put('forms.resnet8.float.onnx', readFileSync(at(kept)))
    const more = ['--classes', '4', '--float-epochs', '4', '-o', at('forms.json'), ...REFUSED, '--json']
    const { code, out, err } = await fewbit(...args('resnet8,MobileNetV2', ...more))
    expect(code, err).toBe(0)
    expect(err).toMatch(/^mobilenet-v2: mobilenet-v2-cifar is taken, which is made for the pictures of resnet8$/m)
    expect(Object.keys(JSON.parse(out).float)).toEqual(['resnet8', 'mobilenet-v2-cifar'])
  })

  it('leaves a network alone that somebody else has put in its place', async () => {
    await saveModel(smallCnn(), at('theirs.resnet8.float.onnx'))
    await failsCleanly(work, 'BENCH_MODEL', 1, args('resnet8', '-o', at('theirs.json')))
  })

  it('takes the weights of a file in place of training', async () => {
    const weights = [...buildZooModel('resnet8', { seed: 9 }).graph.initializers].flatMap(({ name, constant }) =>
      constant?.dtype === 'float32' && constant.dims.length > 0 ? [[name, constant] as const] : [],
    )
    work.put('w.safetensors', writeSafetensors(new Map(weights)))
    const models = `resnet8=${at('w.safetensors')}`
    const { code, out, err } = await fewbit(...args(models, '-o', at('weights.json'), ...REFUSED, '--json'))
    expect(code).toBe(0)
    expect(err).not.toMatch(/^epoch/m)
    const { settings } = JSON.parse(out)
    const expected = buildZooModel('resnet8', { seed: 9 })
    expected.metadata.set(ZOO_KEY, buildZooModel('resnet8').metadata.get(ZOO_KEY) ?? '')
    expect(settings['model resnet8']).toBe(structuralHash(expected))
    expect(settings['float resnet8']).toMatchObject({ weights: 'w.safetensors' })
  })
})

describe('bench qat refuses', () => {
  it.each([
    ['what is neither a file nor in the zoo', ['resnet21'], 'BENCH_MODEL', 'did you mean resnet20'],
    ['two networks of one name', ['resnet8,resnet8'], 'BENCH_MODEL', 'two networks'],
    ['float epochs of a file', ['FILE', '--float-epochs', '3'], 'BENCH_FLOAT', '--float-epochs'],
    ['classes of a file', ['FILE', '--classes', '3'], 'BENCH_FLOAT', '--classes'],
    ['networks for other pictures', ['resnet8,resnet8-mlperf'], 'BENCH_PRESET', 'resnet8-mlperf: --preset raw'],
    ['a mistyped backend', ['resnet8', '--targets', 'tensort'], 'TARGET_UNKNOWN', 'tensort'],
  ])('%s', async (_, [models = '', ...more], code, says) => {
    const given = args(models === 'FILE' ? at('small.onnx') : models, '-o', at('never.json'), ...more)
    expect((await failsCleanly(work, code, 2, given)).err).toContain(says)
  })
})

it('help shows a network of the zoo', async () => {
  expect((await fewbit('bench', 'qat', '--help')).out).toMatch(/Examples:\n {2}fewbit bench qat --models resnet20,/)
})

describe.skipIf(!isBuilt || process.platform === 'win32')(
  'float training that is stopped (needs npm run build)',
  () => {
    const course = (output: string, epochs: string) =>
      args('resnet8', '--classes', '4', '--float-epochs', epochs, '-o', at(output), ...REFUSED)

    it('goes on after kill -9 to the same bytes, and begins anew where it is to be another', async () => {
      const { child, outcome } = start(course('killed.json', '4'), work.path)
      child.stderr?.on('data', (chunk) => {
        if (/^epoch 2\//m.test(String(chunk))) child.kill('SIGKILL')
      })
      await outcome
      expect(existsSync(at('killed.resnet8.float.onnx'))).toBe(false)
      const checkpoint = readFileSync(at('killed.resnet8.float.train.safetensors'))
      work.put('shorter.resnet8.float.train.safetensors', checkpoint)
      const rest = await fewbit(...course('killed.json', '4'))
      expect(rest.err).toMatch(/training in float, 4 epochs, from the checkpoint .*killed\.resnet8\.float\.train/)
      expect(rest.err).not.toMatch(/^epoch 1\//m)
      // What the tests above have trained without a stop.
      expect(readFileSync(at('killed.resnet8.float.onnx'))).toEqual(readFileSync(at('table.resnet8.float.onnx')))
      expect(existsSync(at('killed.resnet8.float.train.safetensors'))).toBe(false)
      const shorter = await fewbit(...course('shorter.json', '1'))
      expect(shorter).toMatchObject({
        code: 0,
        err: expect.stringMatching(/other settings: .*epochs.*; training anew/),
      })
    })
  },
)
