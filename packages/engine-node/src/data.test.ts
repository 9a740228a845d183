import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Dataset, type ModelInput, pictureSamples, type Sample } from '@fewbit/core/engine'
import { Diagnostics, type FewbitError } from '@fewbit/core/util'
import { zipSync } from 'fflate'
import sharp from 'sharp'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDataset } from './open-dataset.ts'

const image = (shape: ModelInput['shape'], name = 'x'): ModelInput[] => [{ name, dtype: 'float32', shape }]

let root = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'fewbit-data-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

async function all(data: Dataset): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of data.samples()) samples.push(sample)
  return samples
}

const values = (sample: Sample | undefined, name = 'x'): number[] => Array.from(sample?.feeds[name]?.numbers() ?? [])

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (e: FewbitError) => e.code,
  )

function flat(r: number, g: number, b: number, width = 4, height = 4) {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
}

async function put(path: string, bytes: Uint8Array | string): Promise<string> {
  const file = join(root, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, bytes)
  return file
}

/** numpy's format 1.0, written by hand from its specification. */
function npy(descr: string, shape: number[], data: Uint8Array, fortran = 'False'): Uint8Array {
  const dims = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${dims}, }`
  const head = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const prefix = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, head.length & 255, head.length >> 8])
  return Buffer.concat([prefix, Buffer.from(head), data])
}

const bytes = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

describe('image folders', () => {
  it('labels by class folder, lets classes take turns and reads PNG, JPEG and WebP alike', async () => {
    await put('classes/cat/a.png', await flat(10, 20, 30).png().toBuffer())
    await put('classes/cat/b.webp', await flat(40, 50, 60).webp({ lossless: true }).toBuffer())
    await put('classes/dog/c.jpg', await flat(128, 128, 128).jpeg().toBuffer())
    const data = await openDataset(join(root, 'classes'), image([1, 3, 4, 4]))
    const samples = await all(data)
    expect(samples.map((s) => [s.id, s.label])).toEqual([
      ['cat/a.png', 0],
      ['dog/c.jpg', 1],
      ['cat/b.webp', 0],
    ])
    expect(samples[0]?.feeds.x?.dims).toEqual([1, 3, 4, 4])
    const planes = (...rgb: number[]) => rgb.flatMap((v) => Array<number>(16).fill(v))
    expect(values(samples[0])).toEqual(planes(10, 20, 30))
    expect(values(samples[1])).toEqual(planes(128, 128, 128))
    expect(values(samples[2])).toEqual(planes(40, 50, 60))
    expect((await all(data)).map((s) => s.id)).toEqual(samples.map((s) => s.id))
  })

  it('follows labels.csv, in its order', async () => {
    await put('listed/b.png', await flat(1, 1, 1).png().toBuffer())
    await put('listed/a.png', await flat(2, 2, 2).png().toBuffer())
    await put('listed/labels.csv', 'file,label\r\nb.png,7\r\n"a.png",3\r\n')
    const samples = await all(await openDataset(join(root, 'listed'), image([1, 3, 4, 4])))
    expect(samples.map((s) => [s.id, s.label])).toEqual([
      ['b.png', 7],
      ['a.png', 3],
    ])
    await put('listed/labels.csv', 'gone.png,1\n')
    expect(await codeOf(openDataset(join(root, 'listed'), image([1, 3, 4, 4])))).toBe('DATA_LABELS')
  })

  it('crops the centre after resizing the short side', async () => {
    // Left third red, middle green, right blue: the centre crop of a 12×4 picture is green.
    const stripes = Buffer.concat(
      Array.from({ length: 48 }, (_, i) =>
        Buffer.from([0, 1, 2].map((c) => (Math.floor((i % 12) / 4) === c ? 200 : 0))),
      ),
    )
    const png = await sharp(stripes, { raw: { width: 12, height: 4, channels: 3 } })
      .png()
      .toBuffer()
    const folder = dirname(await put('stripes/s.png', png))
    const options = { resize: { shortSide: 4 }, crop: { height: 4, width: 4 } }
    const [sample] = await all(await openDataset(folder, image([1, 4, 4, 3]), options))
    expect(values(sample)).toEqual(Array.from({ length: 16 }, () => [0, 200, 0]).flat())
  })

  it('reads BMP rows from the bottom up, blue first', async () => {
    const head = Buffer.alloc(54)
    head.write('BM')
    head.writeUInt32LE(54 + 16, 2)
    head.writeUInt32LE(54, 10)
    head.writeUInt32LE(40, 14)
    head.writeInt32LE(2, 18)
    head.writeInt32LE(2, 22)
    head.writeUInt16LE(1, 26)
    head.writeUInt16LE(24, 28)
    head.writeUInt32LE(16, 34)
    const bottom = [7, 8, 9, 10, 11, 12, 0, 0]
    const top = [1, 2, 3, 4, 5, 6, 0, 0]
    const folder = dirname(await put('bmp/p.bmp', Buffer.concat([head, Buffer.from([...bottom, ...top])])))
    const [sample] = await all(await openDataset(folder, image(['N', 'H', 'W', 3])))
    expect(values(sample)).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10])
  })

  it('names the unreadable file, or leaves it out with a diagnostic', async () => {
    await put('broken/good.png', await flat(1, 2, 3).png().toBuffer())
    const folder = dirname(await put('broken/bad.jpg', 'not a picture'))
    await expect(all(await openDataset(folder, image([1, 3, 4, 4])))).rejects.toThrow(/DATA_IMAGE.*[\s\S]*bad\.jpg/)
    const diagnostics = new Diagnostics()
    const kept = await all(await openDataset(folder, image([1, 3, 4, 4]), { onError: 'skip', diagnostics }))
    expect(kept.map((s) => s.id)).toEqual(['good.png'])
    expect(diagnostics.list).toMatchObject([{ code: 'DATA_SKIPPED', at: { file: 'bad.jpg' } }])
  })

  it('refuses a truncated image', async () => {
    const jpeg = await sharp({
      create: {
        width: 64,
        height: 64,
        channels: 3,
        background: 'red',
        noise: { type: 'gaussian', mean: 128, sigma: 60 },
      },
    })
      .jpeg()
      .toBuffer()
    const folder = dirname(await put('cut/cut.jpg', jpeg.subarray(0, jpeg.length / 2)))
    expect(await codeOf(openDataset(folder, image([1, 3, 64, 64])).then(all))).toBe('DATA_IMAGE')
  })

  it('refuses links that leave the folder, empty folders and missing paths', async () => {
    await put('outside.png', await flat(1, 2, 3).png().toBuffer())
    await mkdir(join(root, 'links'))
    expect(await codeOf(openDataset(join(root, 'links'), image([1, 3, 4, 4])))).toBe('DATA_EMPTY')
    await symlink('../outside.png', join(root, 'links', 'in.png'))
    expect(await codeOf(openDataset(join(root, 'links'), image([1, 3, 4, 4])))).toBe('DATA_LINK')
    expect(await codeOf(openDataset(join(root, 'nowhere'), image([1, 3, 4, 4])))).toBe('DATA_MISSING')
    expect(await codeOf(openDataset(join(root, 'classes'), [...image([1, 3, 4, 4]), ...image([1], 'b')]))).toBe(
      'DATA_INPUT',
    )
  })

  it('takes samples from the whole set', async () => {
    for (let i = 0; i < 6; i++) await put(`six/${i}.png`, await flat(i, i, i).png().toBuffer())
    const data = await openDataset(join(root, 'six'), image([1, 3, 4, 4]), { samples: 3 })
    expect((await all(data)).map((s) => s.id)).toEqual(['0.png', '2.png', '4.png'])
    expect(data.length).toBe(3)
  })
})

describe('archives', () => {
  it('streams class folders, twice alike, with the labels that a folder would have', async () => {
    const archive = pack()
    for (const [i, name] of ['./b/1.png', './a/1.png', './a/2.png', './notes.txt'].entries()) {
      archive.entry({ name }, name.endsWith('png') ? await flat(i, i, i).png().toBuffer() : Buffer.from('text'))
    }
    archive.finalize()
    const file = join(root, 'set.tar.gz')
    await pipeline(archive, createGzip(), createWriteStream(file))
    const data = await openDataset(file, image([1, 3, 4, 4]))
    for (let pass = 0; pass < 2; pass++) {
      const samples = await all(data)
      expect(samples.map((s) => [s.id, s.label, values(s)[0]])).toEqual([
        ['b/1.png', 1, 0],
        ['a/1.png', 0, 1],
        ['a/2.png', 0, 2],
      ])
    }
    const picked = await openDataset(file, image([1, 3, 4, 4]), { samples: 1 })
    expect((await all(picked)).map((s) => s.id)).toEqual(['b/1.png'])
    await put('bad.tar.gz', 'not gzip')
    expect(await codeOf(openDataset(join(root, 'bad.tar.gz'), image([1, 3, 4, 4])))).toBe('DATA_TAR')
  })
})

describe('arrays', () => {
  const pictures = Uint8Array.from({ length: 2 * 2 * 2 * 3 }, (_, i) => i)

  it('treats 8-bit NHWC and NCHW pictures alike', async () => {
    const nhwc = await put(
      'nhwc.npz',
      zipSync({
        'x.npy': npy('|u1', [2, 2, 2, 3], pictures),
        'y.npy': npy('<i8', [2], bytes(BigInt64Array.of(4n, 5n))),
      }),
    )
    const [first, second] = await all(await openDataset(nhwc, image(['N', 3, 2, 2]), { preset: 'unit' }))
    expect(values(first).map((v) => Math.round(v * 255))).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])
    expect([first?.label, second?.label]).toEqual([4, 5])
    const planes = Uint8Array.of(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11)
    const nchw = await put('nchw.npz', zipSync({ 'arr_0.npy': npy('|u1', [1, 3, 2, 2], planes) }))
    const [same] = await all(await openDataset(nchw, image(['N', 3, 2, 2]), { preset: 'unit' }))
    expect(values(same)).toEqual(values(first))
  })

  it('states how pictures in a folder of .npz were preprocessed, once it has read one', async () => {
    const file = await put('pictures/0.npz', zipSync({ 'x.npy': npy('|u1', [1, 2, 2, 3], pictures.subarray(12)) }))
    const data = await openDataset(dirname(file), image([1, 3, 2, 2]), { preset: 'unit', interpolation: 'box' })
    expect(values((await all(data))[0])[0]).toBeCloseTo(12 / 255, 6)
    const preprocess = { scale: 1 / 255, channelOrder: 'rgb', layout: 'nchw', interpolation: 'box' }
    expect(data.toJSON()).toMatchObject({ kind: 'npz-folder', name: 'pictures', samples: 1, preprocess })
  })

  it.each([
    ['<f4', Float32Array.of(1.5, -2, 3, 4)],
    ['<f8', Float64Array.of(1.5, -2, 3, 4)],
    ['<f2', Uint16Array.of(0x3e00, 0xc000, 0x4200, 0x4400)],
  ] as const)('reads %s rows from disk', async (descr, data) => {
    const file = await put('rows.npy', npy(descr, [2, 2], bytes(data)))
    const samples = await all(await openDataset(file, image(['N', 2])))
    expect(samples.map((s) => values(s))).toEqual([
      [1.5, -2],
      [3, 4],
    ])
  })

  it('takes whole numbers for classes and all else for targets', async () => {
    const x = npy('<f4', [2, 1], bytes(Float32Array.of(1, 2)))
    const answers = async (name: string, y: Uint8Array) => {
      const file = await put(name, zipSync({ 'x.npy': x, 'y.npy': y }))
      const samples = await all(await openDataset(file, image(['N', 1])))
      return samples.map(({ label, target }) => [label, target?.dims, target && Array.from(target.numbers())])
    }
    expect(await answers('classes.npz', npy('|u1', [2, 1], Uint8Array.of(7, 3)))).toEqual([
      [7, undefined, undefined],
      [3, undefined, undefined],
    ])
    expect(await answers('heights.npz', npy('<f4', [2], bytes(Float32Array.of(0.5, 2))))).toEqual([
      [undefined, [1], [0.5]],
      [2, [1], [2]],
    ])
    expect(await answers('boxes.npz', npy('<i8', [2, 2], bytes(BigInt64Array.of(1n, 2n, 3n, 4n))))).toEqual([
      [undefined, [1, 2], [1, 2]],
      [undefined, [1, 2], [3, 4]],
    ])
  })

  it('widens integers to the input type and adds missing axes of size 1', async () => {
    const file = await put('ids.npy', npy('<i4', [2, 2], bytes(Int32Array.of(1, 2, 3, 4))))
    const samples = await all(await openDataset(file, [{ name: 'ids', dtype: 'int64', shape: [1, 1, 2] }]))
    expect(samples[1]?.feeds.ids).toMatchObject({ dtype: 'int64', dims: [1, 1, 2] })
    expect(samples[1]?.feeds.ids?.integers()).toEqual([3, 4])
  })

  it('feeds several inputs by name, from one file or a folder of files', async () => {
    const inputs: ModelInput[] = [...image(['N', 2], 'a'), { name: 'b', dtype: 'int64', shape: ['N'] }]
    const entry = (row: number) => npy('<f4', [1, 2], bytes(Float32Array.of(row, row)))
    const one = await put(
      'multi.npz',
      zipSync({
        'a.npy': npy('<f4', [2, 2], bytes(Float32Array.of(0, 0, 1, 1))),
        'b.npy': npy('<i8', [2], bytes(BigInt64Array.of(8n, 9n))),
      }),
    )
    for (const row of [0, 1]) {
      await put(
        `multi/${row}.npz`,
        zipSync({ 'a.npy': entry(row), 'b.npy': npy('<i8', [], bytes(BigInt64Array.of(BigInt(8 + row)))) }),
      )
    }
    for (const spec of [one, join(root, 'multi')]) {
      const samples = await all(await openDataset(spec, inputs))
      expect(samples.map((s) => [s.feeds.a?.dims, values(s, 'a'), values(s, 'b'), s.feeds.b?.dims])).toEqual([
        [[1, 2], [0, 0], [8], [1]],
        [[1, 2], [1, 1], [9], [1]],
      ])
    }
    expect(await codeOf(openDataset(one, [...inputs, ...image([1], 'c')]))).toBe('DATA_INPUT')
  })

  it('explains files that it cannot use', async () => {
    const open = async (name: string, content: Uint8Array | string) =>
      codeOf(openDataset(await put(name, content), image(['N', 2])))
    const two = bytes(Float32Array.of(1, 2))
    expect(await open('f.npy', npy('<f4', [2, 2], bytes(Float32Array.of(1, 2, 3, 4)), 'True'))).toBe('DATA_NPY')
    expect(await open('big.npy', npy('>f4', [1, 2], two))).toBe('DATA_NPY')
    expect(await open('text.npy', 'hello, this is no array at all')).toBe('DATA_NPY')
    expect(await open('empty.npy', npy('<f4', [0, 2], new Uint8Array()))).toBe('DATA_EMPTY')
    expect(await open('bad.npz', 'hello')).toBe('DATA_NPZ')
    expect(await open('short.npz', zipSync({ 'x.npy': npy('<f4', [9, 2], two) }))).toBe('DATA_NPY')
    expect(
      await open(
        'labels.npz',
        zipSync({ 'x.npy': npy('<f4', [1, 2], two), 'y.npy': npy('<i8', [2], new Uint8Array(16)) }),
      ),
    ).toBe('DATA_LABELS')
    expect(await open('notes.txt', 'x')).toBe('DATA_FORMAT')
    const ints: ModelInput[] = [{ name: 'ids', dtype: 'int64', shape: ['N', 2] }]
    const floats = await put('floats.npy', npy('<f4', [1, 2], two))
    expect(await codeOf(openDataset(floats, ints).then(all))).toBe('DATA_DTYPE')
    const cut = await put('cut.npy', npy('<f4', [2, 2], two))
    expect(await codeOf(openDataset(cut, image(['N', 2])).then(all))).toBe('DATA_NPY')
  })
})

describe('pictures before normalization', () => {
  it.each(['classes', 'set.tar.gz', 'nhwc.npz'])('are the samples of %s', async (spec) => {
    const size = spec.endsWith('npz') ? 2 : 4
    const data = await openDataset(join(root, spec), image(['N', 3, size, size]), { preset: 'imagenet', crop: null })
    const given = data.pictures
    if (!given) throw new Error('no pictures')
    const made: Sample[] = []
    for await (const sample of pictureSamples(given)) made.push(sample)
    const facts = (samples: Sample[]) => samples.map((s) => [s.id, s.label, values(s)])
    expect(facts(made)).toEqual(facts(await all(data)))
    expect(made.length).toBeGreaterThan(1)
  })
})
