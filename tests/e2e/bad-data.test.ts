import { saveModel } from 'fewbit'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, labels, npy, npz } from './numpy.ts'

const work = new Folder()
const model = work.at('small.onnx')
const out = work.at('out.onnx')

function picture(seed: number, width = 8, height = 8): Promise<Buffer> {
  const pixels = Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => (i * 37 + seed * 101 + ((i * seed) % 89)) % 256,
  )
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

async function pictures(folder: string, count = 4): Promise<string> {
  for (let i = 0; i < count; i++) work.put(`${folder}/${i}.png`, await picture(i))
  return work.at(folder)
}

beforeAll(() => saveModel(smallCnn(), model))

const quantizeOn = (data: string, ...rest: string[]) => ['quantize', model, '--data', data, '-o', out, ...rest]
const evaluateOn = (data: string, ...rest: string[]) => ['evaluate', model, '--data', data, ...rest]

describe('data that are not there', () => {
  it('are asked for', async () => {
    const { err } = await failsCleanly(work, 'DATA_MISSING', 2, ['quantize', model, '-o', out])
    expect(err).toContain('--data')
  })
  it('are a path that does not exist', async () => {
    await failsCleanly(work, 'DATA_MISSING', 1, quantizeOn(work.at('nope')))
  })
  it('are an empty folder', async () => {
    await failsCleanly(work, 'DATA_EMPTY', 1, quantizeOn(work.folder('empty')))
  })
  it('are a file of another kind', async () => {
    await failsCleanly(work, 'DATA_FORMAT', 1, quantizeOn(work.put('data.txt', 'no data')))
  })
  it('are arrays without rows', async () => {
    await failsCleanly(
      work,
      'DATA_EMPTY',
      1,
      quantizeOn(work.put('none.npz', npz({ x: floats([0, 3, 8, 8], () => 0) }))),
    )
  })
})

describe('image folders', () => {
  it('name the image that cannot be read', async () => {
    const folder = await pictures('broken')
    work.put('broken/2.png', (await picture(2)).subarray(0, 60))
    const { err } = await failsCleanly(work, 'DATA_IMAGE', 1, quantizeOn(folder))
    expect(err).toContain('file 2.png')
  })

  it('may leave unreadable images out, and say so', async () => {
    const outcome = await fewbit(...evaluateOn(work.at('broken'), '--skip-unreadable', '--against', model))
    expect(outcome.code).toBe(0)
    expect(outcome.out).toMatch(/samples +3/)
    expect(outcome.err.match(/warning DATA_SKIPPED/g)).toHaveLength(1)
    expect(outcome.err).toContain('file 2.png')
  })

  it('hold images of different sizes, which are resized', async () => {
    const folder = await pictures('sizes')
    work.put('sizes/wide.png', await picture(9, 40, 13))
    const { code, out: text } = await fewbit(...evaluateOn(folder, '--against', model, '--metric', 'max-error'))
    expect(code).toBe(0)
    expect(text).toMatch(/samples +5/)
  })

  it('list an image in labels.csv that is not there', async () => {
    const folder = await pictures('listed')
    work.put('listed/labels.csv', 'file,label\n0.png,1\n7.png,2\n')
    const { err } = await failsCleanly(work, 'DATA_LABELS', 1, evaluateOn(folder))
    expect(err).toContain('7.png')
  })

  it('have a line in labels.csv that is no label', async () => {
    const folder = await pictures('lines')
    work.put('lines/labels.csv', 'file,label\n0.png,1\n1.png\n')
    const { err } = await failsCleanly(work, 'DATA_LABELS', 1, evaluateOn(folder))
    expect(err).toContain('line 3')
  })

  it('cannot feed a model of several inputs', async () => {
    const { err } = await failsCleanly(
      work,
      'DATA_INPUT',
      1,
      [...quantizeOn(work.at('sizes')), '--resize', 'none', '--layout', 'nhwc'].with(1, await twoInputs()),
    )
    expect(err).toContain('.npz')
  })
})

async function twoInputs(): Promise<string> {
  const path = work.at('two.onnx')
  const two = smallCnn()
  const { GraphBuilder, tensorType } = await import('@fewbit/core/ir')
  const b = new GraphBuilder(two.graph)
  b.output(b.op('Neg', [b.input('z', tensorType('float32', [1, 2]))]))
  await saveModel(two, path)
  return path
}

describe('labels', () => {
  const x = floats([4, 3, 8, 8], Math.sin)

  it('are one for each sample', async () => {
    const { err } = await failsCleanly(
      work,
      'DATA_LABELS',
      1,
      evaluateOn(work.put('few.npz', npz({ x, y: labels([0, 1, 2]) }))),
    )
    expect(err).toContain('3 labels for 4 samples')
  })
  it('are below the number of classes', async () => {
    const { err } = await failsCleanly(
      work,
      'EVALUATE_LABELS',
      1,
      evaluateOn(work.put('high.npz', npz({ x, y: labels([0, 1, 2, 4]) }))),
    )
    expect(err).toContain('label 4')
  })
  it('are needed for accuracy', async () => {
    const plain = work.put('plain.npz', npz({ x }))
    await failsCleanly(work, 'EVALUATE_LABELS', 1, evaluateOn(plain, '--metric', 'top1'))
    await failsCleanly(work, 'EVALUATE_METRICS', 1, evaluateOn(plain))
  })
})

describe('arrays', () => {
  const cases: [string, string, Uint8Array, string, string][] = [
    ['of another shape', 'shape.npy', npy(floats([4, 3, 9, 9], Math.sin)), 'DATA_SHAPE', 'resize or reshape'],
    ['with the channels last', 'nhwc.npz', npz({ x: floats([4, 8, 8, 3], Math.sin) }), 'DATA_SHAPE', 'nhwc'],
    [
      'under names that the model does not have',
      'names.npz',
      npz({ a: floats([4, 3, 8, 8], Math.sin), b: floats([4], Math.sin) }),
      'DATA_INPUT',
      '"x"',
    ],
    [
      'with NaN',
      'nan.npz',
      npz({ x: floats([4, 3, 8, 8], (i) => (i === 200 ? Number.NaN : Math.sin(i))) }),
      'DATA_NAN',
      'row 1',
    ],
    [
      'with infinity',
      'inf.npz',
      npz({ x: floats([4, 3, 8, 8], (i) => (i === 9 ? Infinity : Math.sin(i))) }),
      'DATA_NAN',
      'row 0',
    ],
    ['cut short', 'short.npy', npy(floats([4, 3, 8, 8], Math.sin)).subarray(0, 2000), 'DATA_NPY', 'short.npy'],
    [
      'in a damaged archive',
      'damaged.npz',
      npz({ x: floats([4, 3, 8, 8], Math.sin) }).subarray(0, 900),
      'DATA_NPZ',
      'damaged.npz',
    ],
  ]

  it.each(cases)('%s', async (_, name, bytes, code, says) => {
    const { err } = await failsCleanly(work, code, 1, quantizeOn(work.put(name, bytes)))
    expect(err).toContain(says)
  })
})
