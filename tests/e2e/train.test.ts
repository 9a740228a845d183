import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { crossEntropy, loadModel, npzDataset, saveModel, train as trainModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, fewbit, isBuilt, start } from './harness.ts'
import { smallCnn } from './networks.ts'
import { npz } from './numpy.ts'
import { quarters } from './quarters.ts'

const work = new Folder()
const at = (name: string) => work.at(name)

const bytes = (count: number, seed: number) =>
  Uint8Array.from({ length: count }, (_, i) => (i * 7919 + seed * 104729 + (i % 13) * (i % 17) * 31) % 256)

beforeAll(async () => {
  await saveModel(smallCnn(), at('small.onnx'))
  work.put('train.npz', quarters(8, 256, 1))
  work.put('test.npz', quarters(8, 64, 2))
})

const DATA = () => ['--data', at('train.npz'), '--eval-data', at('test.npz'), '--preset', 'unit']
const train = (...args: string[]) => fewbit('train', ...args)

describe('fewbit train', () => {
  it('tunes a network, shows each epoch, and leaves one file', async () => {
    const course = ['--epochs', '3', '--batch', '32', '--lr', '0.1', '--augment', 'crop:pad=1', '--ema', '0.9']
    const { code, out, err } = await train(at('small.onnx'), ...DATA(), ...course, '-o', at('tuned.onnx'))
    expect(err).toMatch(/^evaluate: .*, before training, top1 \d+\.\d\d %$/m)
    const [, loss] = /^epoch 3\/3: .*, (loss \d\.\d{3}), /m.exec(err) ?? []
    const [, shown] = new RegExp(`^evaluate: .*, epoch 3/3, ${loss}, top1 (\\d+\\.\\d\\d) %$`, 'm').exec(err) ?? []
    expect(err).toMatch(/^epoch 3\/3: .*, loss \d\.\d{3}, \d+\.\d %, \d+ samples\/s, 0 s left$/m)
    expect(code).toBe(0)
    expect(out).toMatch(/^ *epoch +steps +loss +right in training +top1$/m)
    expect(out).toMatch(/^ *before +0 +\d/m)
    expect(out).toMatch(/^ *3 +24 +\d/m)
    expect(out).toMatch(/^wrote .*tuned\.onnx$/m)
    expect(existsSync(at('tuned.train.safetensors'))).toBe(false)
    const recipe = JSON.parse((await loadModel(at('tuned.onnx'))).metadata.get('fewbit.training') ?? '{}')
    expect(recipe.settings).toMatchObject({ lr: 0.1, steps: 24, ema: { decay: 0.9 }, seed: 1 })
    const scored = await fewbit('evaluate', at('tuned.onnx'), '--data', at('test.npz'), '--preset', 'unit', '--json')
    const last = /^ *3 +24.* ([\d.]+) %$/m.exec(out)?.[1]
    expect(JSON.parse(scored.out).metrics.top1).toBeCloseTo(Number(last), 1)
    expect(shown).toBe(last)
  })

  it('trains with fake-quantizers and writes both networks', async () => {
    const how = ['--qat', 'lsq', '--scheme', 'w4a4', '--target', 'academic', '--calibration-samples', '32']
    const course = ['--epochs', '1', '--batch', '32', '--lr', '0.01', '--json']
    const { code, out } = await train(at('small.onnx'), ...DATA(), ...how, ...course, '-o', at('q.onnx'))
    expect(code).toBe(0)
    const { files, report, conversion } = JSON.parse(out)
    expect(files).toEqual([at('q.onnx'), at('q.qfloat.onnx')])
    expect(Object.keys(report)).toEqual(expect.arrayContaining(['float', 'before', 'after', 'quantized']))
    expect(conversion.outputs[0].within).toBe(1)
    const { metadata } = await loadModel(at('q.onnx'))
    expect([...metadata.keys()]).toEqual(expect.arrayContaining(['fewbit.recipe', 'fewbit.training']))
    const more = await train(at('q.qfloat.onnx'), ...DATA(), '--max-steps', '2', '--batch', '32', '-o', at('q2.onnx'))
    expect(more.out).toMatch(/^quantized network against the trained one, 64 samples on the real engine:$/m)
    expect(more.code).toBe(0)
  })

  it('distils a float network into a quantized one without labels, and scores by how close it comes', async () => {
    const unlabelled = (seed: number) =>
      npz({ x: { dtype: 'uint8', shape: [64, 8, 8, 3], data: bytes(64 * 192, seed) } })
    work.put('unlabelled.npz', unlabelled(5))
    work.put('others.npz', unlabelled(6))
    const data = ['--data', at('unlabelled.npz'), '--eval-data', at('others.npz'), '--preset', 'unit']
    const how = ['--teacher', at('small.onnx'), '--qat', 'lsq', '--scheme', 'w4a4', '--target', 'academic']
    const course = ['--loss', 'mse:against=teacher', '--epochs', '10', '--batch', '16', '--lr', '0.01', '--json']
    const { code, out } = await train(at('small.onnx'), ...data, ...how, ...course, '-o', at('distilled.onnx'))
    expect(code).toBe(0)
    const { before, history, quantized } = JSON.parse(out).report
    expect(history.at(-1).loss).toBeLessThan(history[0].loss)
    expect(quantized.sqnr).toBeGreaterThan(before.sqnr + 2)
    const against = ['--data', at('others.npz'), '--preset', 'unit', '--against', at('small.onnx'), '--json']
    const scored = await fewbit('evaluate', at('distilled.onnx'), ...against)
    expect(JSON.parse(scored.out).metrics.sqnr).toBeCloseTo(quantized.sqnr, 6)
  })

  it('builds a network of the zoo with the classes of the data', async () => {
    const zoo = ['--zoo', 'resnet8', '--classes', '4', '--max-steps', '1', '--batch', '8', '--samples', '16']
    const { code, out } = await train(...zoo, '--data', at('train.npz'), '-o', at('zoo.onnx'))
    expect(code).toBe(0)
    expect(out).toMatch(/^ *1 +1 +\d/m)
    const { graph } = await loadModel(at('zoo.onnx'))
    expect(graph.outputs[0]?.type).toMatchObject({ shape: ['N', 4] })
  })

  it.each([
    [['--epochs', '1'], 'TRAIN_NETWORK'],
    [['small.onnx', '--zoo', 'resnet8'], 'TRAIN_NETWORK'],
    [['small.onnx', '--scheme', 'w4a4'], 'QAT_MISSING'],
    [['small.onnx', '--batch-norm', 'fold-torch'], 'QAT_BATCH_NORM'],
    [['small.onnx', '--qat', '--batch-norm', 'fixed'], 'QAT_BATCH_NORM'],
    [['small.onnx', '--loss', 'crossentropy'], 'LOSS_UNKNOWN'],
    [['small.onnx', '--optimizer', 'sgd:momentun=1'], 'OPTIMIZER_OPTION'],
    [['small.onnx', '--augment', 'spin'], 'AUGMENTATION_UNKNOWN'],
    [['small.onnx', '--teacher', 'small.onnx', '--loss', 'mse'], 'TRAIN_TEACHER'],
    [['small.onnx', '-o', 'folder/'], 'OUTPUT_KIND'],
    [['small.onnx', '-o', 'small.onnx'], 'OUTPUT_IS_INPUT'],
  ])('refuses %j with %s', async (args, code) => {
    const paths = args.map((arg) => (/^(small\.onnx|folder\/)$/.test(arg) ? at(arg) : arg))
    const output = args.includes('-o') ? [] : ['-o', at('never.onnx')]
    const outcome = await train(...paths, '--data', at('train.npz'), ...output)
    expect(outcome.err).toMatch(new RegExp(`error ${code} `))
    expect(outcome.code).toBeGreaterThan(0)
    expect(existsSync(at('never.onnx'))).toBe(false)
  })
})

describe('fewbit train --profile', () => {
  const profile = (...args: string[]) => train(at('small.onnx'), '--data', at('train.npz'), '--preset', 'unit', ...args)
  const files = () => readdirSync(work.path).sort()
  /** Of the table: operator, nodes, milliseconds, share in percent. */
  const rowsOf = (out: string) =>
    [...out.matchAll(/^(\S+(?: others)?) +(\d+) +(\d+\.\d\d) +(\d+\.\d) %$/gm)].map(
      ([, operator, ...figures]) => [operator as string, ...figures.map(Number)] as [string, number, number, number],
    )

  it('shows where the time of a step goes, and trains nothing', async () => {
    const before = files()
    const { code, out, err } = await profile('--batch', '32', '--profile')
    expect(code).toBe(0)
    expect(files()).toEqual(before)
    expect(err).not.toMatch(/^epoch/m)
    expect(out).toMatch(/^a step of 32 samples: [\d.]+ (µs|ms|s), [\d.]+ samples\/s, median of \d+$/m)
    const rows = rowsOf(out)
    const all = rows.at(-1)!
    expect(all[0]).toBe('all')
    const parts = rows.slice(0, -1)
    for (const [column, digit] of [
      [1, 0],
      [2, 0.005],
      [3, 0.05],
    ] as const) {
      const sum = parts.reduce((total, row) => total + row[column], 0)
      // Every figure is rounded.
      expect(Math.abs(sum - all[column])).toBeLessThanOrEqual(digit * (parts.length + 1) + 1e-9)
    }
    expect(all[3]).toBe(100)
    // Two layers, whose three products are all Conv, but that nobody asks for the gradient of the input.
    expect(parts.find(([operator]) => operator === 'Conv')?.[1]).toBeGreaterThanOrEqual(3)
    expect(parts[0]![2]).toBeGreaterThanOrEqual(parts[1]![2])
  })

  it('reads as much as a step takes, and gives one document', async () => {
    const course = ['--batch', '16', '--accumulate', '2', '--freeze', 'conv1.*', '--profile', '--json']
    const { code, out, err } = await profile(...course)
    expect(code).toBe(0)
    expect(err).toMatch(/^read data: .*, 32 done$/m)
    const { profile: found } = JSON.parse(out)
    expect(found).toMatchObject({ batchSize: 16, accumulate: 2 })
    expect(found.samplesPerSecond * found.seconds).toBeCloseTo(32)
    const shares = found.operators.map(({ share }: { share: number }) => share)
    expect(shares.reduce((a: number, b: number) => a + b)).toBeCloseTo(1)
    expect(found.operators.map(({ operator }: { operator: string }) => operator)).toContain('Conv')
  })

  it('knows the step with fake-quantizers, which has more to do', async () => {
    const qat = ['--qat', 'lsq', '--scheme', 'w4a4', '--target', 'academic', '--calibration-samples', '16']
    const [float, quantized] = [
      await profile('--batch', '8', '--profile'),
      await profile('--batch', '8', ...qat, '--profile'),
    ]
    expect(quantized.code).toBe(0)
    const nodes = ({ out }: { out: string }) => rowsOf(out).at(-1)![1]
    expect(nodes(quantized)).toBeGreaterThan(nodes(float))
    expect(quantized.out).toMatch(/^Conv +\d/m)
  })

  it('trains, too, where an output is named, to the same network', async () => {
    const course = ['--batch', '32', '--max-steps', '2']
    const { code, out } = await profile(...course, '--profile', '-o', at('profiled.onnx'))
    expect(code).toBe(0)
    expect(out).toMatch(/^ *1 +2 +\d/m)
    expect(rowsOf(out).at(-1)?.[0]).toBe('all')
    expect(out).toMatch(/^wrote .*profiled\.onnx$/m)
    await profile(...course, '-o', at('plain.onnx'))
    expect(readFileSync(at('profiled.onnx'))).toEqual(readFileSync(at('plain.onnx')))
  })

  it.each([
    [[], /TRAIN_OUTPUT[\s\S]*-o.*--profile/],
    [['--profile', '--resume'], /TRAIN_OUTPUT.*--resume/],
    [['--profile', '--checkpoint-steps', '3'], /TRAIN_OUTPUT.*--checkpoint-steps/],
    [['--profile', '--scheme', 'w4a4'], /QAT_MISSING/],
    [['--profile', '--oscillation', 'track'], /QAT_MISSING/],
  ])('refuses %j', async (args, message) => {
    const outcome = await profile(...args)
    expect(outcome.err).toMatch(message)
    expect(outcome.code).toBe(2)
  })
})

describe('train as a function', () => {
  it('takes data that are not fitted to a network yet, and names options that do not exist', async () => {
    const model = await loadModel(at('small.onnx'))
    const data = npzDataset(at('train.npz'), { preset: 'unit' })
    const loss = crossEntropy({ labelSmoothing: 0.1 })
    const { report } = await trainModel(model, { data, loss, maxSteps: 2, batchSize: 16 })
    expect(report.history).toMatchObject([{ epoch: 1, steps: 2 }])
    await expect(trainModel(model, { data, epoch: 1 } as never)).rejects.toThrow(/OPTION_UNKNOWN[\s\S]*"epochs"/)
  })
})

describe.skipIf(!isBuilt || process.platform === 'win32')('a run that is stopped (needs npm run build)', () => {
  const course = [
    '--epochs',
    '6',
    '--batch',
    '16',
    '--lr',
    '0.02',
    '--augment',
    'crop:pad=2,flip',
    '--checkpoint-steps',
    '3',
  ]
  const run = (output: string, ...more: string[]) =>
    start(['train', at('small.onnx'), ...DATA(), ...course, '-o', at(output), '--json', ...more], work.path)

  it('goes on after kill -9 to the same bytes and losses', async () => {
    const whole = await run('whole.onnx').outcome
    expect(whole.code).toBe(0)
    const { child, outcome } = run('killed.onnx')
    child.stderr?.on('data', (chunk) => {
      if (/^epoch 3\//m.test(String(chunk))) child.kill('SIGKILL')
    })
    await outcome
    expect(existsSync(at('killed.onnx'))).toBe(false)
    expect(existsSync(at('killed.train.safetensors'))).toBe(true)
    const refused = await run('killed.onnx').outcome
    expect(refused.err).toMatch(/error CHECKPOINT_EXISTS/)
    const rest = await run('killed.onnx', '--resume').outcome
    expect(rest.code).toBe(0)
    expect(rest.err).not.toMatch(/^epoch 2\//m)
    expect(JSON.parse(rest.out).report.history).toEqual(JSON.parse(whole.out).report.history)
    expect(readFileSync(at('killed.onnx'))).toEqual(readFileSync(at('whole.onnx')))
    expect(existsSync(at('killed.train.safetensors'))).toBe(false)
  })

  it('keeps a checkpoint on Ctrl-C', async () => {
    const { child, outcome } = run('stopped.onnx')
    child.stderr?.on('data', (chunk) => {
      if (/^epoch 2\//m.test(String(chunk))) child.kill('SIGINT')
    })
    const { code, err } = await outcome
    expect(code).toBe(130)
    expect(err).toMatch(/a checkpoint stands in .*stopped\.train\.safetensors: with --resume/)
  })
})
