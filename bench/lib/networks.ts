import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Dataset, type Engine, modelInputs, type PreprocessOptions, type Sample } from '@fewbit/core/engine'
import { type Model, Tensor } from '@fewbit/core/ir'
import { decodeImage, nodeEngine, openDataset } from '@fewbit/engine-node'
import { type Box, decodeFastestDet, groundTruth, meanAveragePrecision } from './detection.ts'
import { classify, eachOutput, fidelity, type Scores } from './score.ts'
import { DATA, fromSamples, pick } from './shared-data.ts'
import { vadSamples, vadScore } from './vad.ts'

/** One of the real networks, with data to calibrate on and other data to score on. */
export interface Network {
  readonly name: string
  readonly file: string
  /** Scores that the int8 network must reach, and the float baseline of the data README. */
  readonly floor: Scores
  calibration(model: Model): Promise<Dataset>
  readonly samples: number
  score(model: Model, engine: Engine, against?: Model): Promise<Scores>
}

const at = (path: string): string => join(DATA, path)
const open = (path: string, model: Model, options: PreprocessOptions = {}): Promise<Dataset> =>
  openDataset(at(path), modelInputs(model), options)

const NORMALIZED = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

function cifar(name: string, file: string, floor: Scores, preprocess: PreprocessOptions): Network {
  return {
    name,
    file,
    floor,
    samples: 200,
    calibration: (model) => open('cifar10/calib200.npz', model, preprocess),
    async score(model, engine, against) {
      const jpeg = await classify(model, await open('cifar10/test_jpeg2000.npz', model, preprocess), engine, against)
      const lossless = await classify(model, await open('cifar10/test_lossless322.npz', model, preprocess), engine)
      return { ...jpeg, lossless: lossless.top1 as number }
    },
  }
}

const mnist: Network = {
  name: 'mnist',
  file: 'mnist_cnn.onnx',
  floor: { top1: 98.8 },
  samples: 200,
  calibration: async (model) => pick(await open('mnist/test.npz', model, { preset: 'raw' }), (i) => i < 200),
  score: async (model, engine, against) =>
    classify(
      model,
      pick(await open('mnist/test.npz', model, { preset: 'raw' }), (i) => i >= 200),
      engine,
      against,
    ),
}

/** Person in the picture: a box of class 0 larger than 0.5 % of the image. */
function withPersonLabel(data: Dataset): Dataset {
  const label = (sample: Sample): Sample => {
    const boxes = groundTruth(at('coco128/labels'), sample.id, 0)
    const area = ({ corners: c }: Box): number => (c[2] - c[0]) * (c[3] - c[1])
    return { ...sample, label: boxes.some((b) => b.cls === 0 && area(b) > 0.005) ? 1 : 0 }
  }
  return {
    ...data,
    async *samples() {
      for await (const sample of data.samples()) yield label(sample)
    },
    toJSON: () => data.toJSON(),
  }
}

const vww: Network = {
  name: 'vww',
  file: 'vww_mobilenetv1_025_96.onnx',
  floor: { top1: 85.4 },
  samples: 32,
  calibration: async (model) => pick(await open('coco128/images', model, { preset: 'unit' }), (i) => i < 32),
  score: async (model, engine, against) => {
    const all = withPersonLabel(await open('coco128/images', model, { preset: 'unit' }))
    return classify(
      model,
      pick(all, (i) => i >= 32),
      engine,
      against,
    )
  },
}

const squeezenet: Network = {
  name: 'squeezenet',
  file: 'imagenet_squeezenet11.onnx',
  floor: { top1: 56.2, sqnr: 22 },
  samples: 100,
  calibration: async (model) => pick(await open('imagenet256', model, { preset: 'imagenet-caffe' }), isFifth),
  score: async (model, engine, against) => {
    const all = await open('imagenet256', model, { preset: 'imagenet-caffe' })
    return classify(
      model,
      pick(all, (i) => !isFifth(i)),
      engine,
      against,
      true,
    )
  },
}

const isFifth = (i: number): boolean => i < 100

const honk: Network = {
  name: 'honk',
  file: 'kws_honk_res8.onnx',
  floor: { top1: 86.5 },
  samples: 60,
  calibration: async (model) => pick(await open('speech_commands/mfcc.npz', model), (i) => i % 6 === 0),
  score: async (model, engine, against) =>
    classify(
      model,
      pick(await open('speech_commands/mfcc.npz', model), (i) => i % 6 !== 0),
      engine,
      against,
    ),
}

const DETECTION: PreprocessOptions = {
  scale: 1 / 255,
  channelOrder: 'bgr',
  resize: { height: 352, width: 352 },
  interpolation: 'box',
}

const fastestdet: Network = {
  name: 'fastestdet',
  file: 'coco_fastestdet.onnx',
  floor: { map: 20.3, sqnr: 13 },
  samples: 32,
  calibration: async (model) => pick(await open('coco128/images', model, DETECTION), (i) => i < 32),
  async score(model, engine, against) {
    const data = pick(await open('coco128/images', model, DETECTION), (i) => i >= 32)
    const found: Box[] = []
    const truth: Box[] = []
    await eachOutput(model, data, engine, (sample, outputs, i) => {
      found.push(...decodeFastestDet(Object.values(outputs)[0]?.numbers() ?? [], i))
      truth.push(...groundTruth(at('coco128/labels'), sample.id, i))
    })
    const thresholds = Array.from({ length: 10 }, (_, i) => 0.5 + 0.05 * i)
    const each = thresholds.map((t) => 100 * meanAveragePrecision(found, truth, t))
    const map = each.reduce((a, b) => a + b, 0) / each.length
    return { map50: each[0] as number, map, ...(await fidelity(model, data, engine, against)) }
  },
}

/** 64 x 64 crops from the middle of photographs, as a super-resolution network sees small parts of images. */
async function crops(model: Model): Promise<Dataset> {
  const options: PreprocessOptions = { preset: 'raw', crop: { height: 64, width: 64 }, resize: 'none' }
  return pick(await open('coco128/images', model, options), (i) => i % 4 === 0)
}

const SET5 = ['baby', 'bird', 'butterfly', 'head', 'woman']
const PLAIN = {
  resize: 'none',
  crop: null,
  scale: 1,
  mean: [0],
  std: [1],
  layout: 'nchw',
  channelOrder: 'rgb',
  interpolation: 'linear',
} as const

async function pixels(file: string) {
  return decodeImage(readFileSync(at(`set5/${file}.bmp`)), PLAIN)
}

async function lowResolution(model: Model): Promise<Dataset> {
  const input = modelInputs(model)[0]?.name as string
  const samples = SET5.map(async (name) => {
    const { data, height, width } = await pixels(`${name}x4`)
    const planes = new Float32Array(3 * height * width)
    for (let i = 0; i < height * width; i++)
      for (let c = 0; c < 3; c++) planes[c * height * width + i] = data[3 * i + c] as number
    return { id: name, feeds: { [input]: Tensor.float32([1, 3, height, width], planes) } }
  })
  return fromSamples('set5', await Promise.all(samples))
}

/** Luma of ITU-R BT.601 in video range, as super-resolution papers score it. */
const luma = (r: number, g: number, b: number): number => 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255

const rfdn: Network = {
  name: 'rfdn',
  file: 'sr_rfdn_x4.onnx',
  floor: { psnr: 31.9 },
  samples: 32,
  calibration: crops,
  async score(model, engine, against) {
    const data = await lowResolution(model)
    const truths = await Promise.all(SET5.map(pixels))
    let sum = 0
    await eachOutput(model, data, engine, (_, outputs, i) => {
      sum += psnrY(Object.values(outputs)[0] as Tensor, truths[i] as Awaited<ReturnType<typeof pixels>>)
    })
    return { psnr: sum / SET5.length, ...(await fidelity(model, data, engine, against)) }
  },
}

/** PSNR of the luma in dB, four pixels of border left out. */
function psnrY(output: Tensor, truth: { data: Uint8Array; height: number; width: number }): number {
  const [, , h = 0, w = 0] = output.dims
  const values = output.numbers()
  const level = (v: number): number => Math.min(255, Math.max(0, Math.floor(v + 0.5)))
  let noise = 0
  let count = 0
  for (let y = 4; y < Math.min(h, truth.height) - 4; y++) {
    for (let x = 4; x < Math.min(w, truth.width) - 4; x++) {
      const [r, g, b] = [0, 1, 2].map((c) => level(values[(c * h + y) * w + x] as number)) as [number, number, number]
      const [tr, tg, tb] = [0, 1, 2].map((c) => truth.data[3 * (y * truth.width + x) + c]) as [number, number, number]
      noise += (luma(r, g, b) - luma(tr, tg, tb)) ** 2
      count++
    }
  }
  return 10 * Math.log10((255 * 255 * count) / noise)
}

const llm: Network = {
  name: 'llm',
  file: 'llm_stories260k.onnx',
  floor: {},
  samples: 20,
  calibration: async (model) => tokens(model, (row) => row < 20),
  async score(model, engine, against) {
    const data = await tokens(model, (row) => row >= 20)
    let nll = 0
    let hits = 0
    let count = 0
    await eachOutput(model, data, engine, (sample, outputs) => {
      const logits = Object.values(outputs)[0] as Tensor
      const next = TARGETS.get(sample.id) as number[]
      const vocabulary = logits.dims.at(-1) as number
      const values = logits.numbers() as Float32Array
      next.forEach((token, t) => {
        const row = values.subarray(t * vocabulary, (t + 1) * vocabulary)
        const max = row.reduce((a, b) => Math.max(a, b), -Infinity)
        let sum = 0
        for (const v of row) sum += Math.exp(v - max)
        nll += Math.log(sum) + max - (row[token] as number)
        if (row[token] === max) hits++
        count++
      })
    })
    return { nll: nll / count, top1: (100 * hits) / count, ...(await fidelity(model, data, engine, against)) }
  },
}

const TARGETS = new Map<string, number[]>()

async function tokens(model: Model, test: (row: number) => boolean): Promise<Dataset> {
  const input = modelInputs(model)[0]?.name as string
  const file = readFileSync(at('text/oz_tokens_100x257_i64.npy'))
  const header = 10 + file.readUInt16LE(8)
  const ids = new BigInt64Array(new Uint8Array(file.subarray(header)).buffer)
  const rows = ids.length / 257
  const samples = Array.from({ length: rows }, (_, row) => row)
    .filter(test)
    .map((row) => {
      const line = ids.subarray(row * 257, (row + 1) * 257)
      TARGETS.set(`row ${row}`, Array.from(line.subarray(1), Number))
      return { id: `row ${row}`, feeds: { [input]: Tensor.int64([1, 256], line.subarray(0, 256)) } }
    })
  return fromSamples('oz tokens', samples)
}

const vad: Network = {
  name: 'vad',
  file: 'vad_silero_16k.onnx',
  floor: {},
  samples: 64,
  calibration: (model) => vadSamples(model, nodeEngine(), 'calibrate'),
  score: (model, engine, against) => vadScore(model, engine, against),
}

export const NETWORKS: readonly Network[] = [
  mnist,
  cifar('resnet20', 'cifar_resnet20.onnx', { top1: 81.0, lossless: 94.4 }, NORMALIZED),
  cifar('vit', 'cifar_vit_ibp_3_3_8.onnx', { lossless: 85.0 }, { preset: 'cifar10' }),
  vww,
  honk,
  fastestdet,
  squeezenet,
  rfdn,
  llm,
  vad,
]

export const modelPath = (network: Network): string => at(`models/${network.file}`)

export function networkNamed(name: string): Network {
  const found = NETWORKS.find((network) => network.name === name)
  if (!found) throw new Error(`no network "${name}"; there are ${NETWORKS.map((n) => n.name).join(', ')}`)
  return found
}

/** The named networks, in the order of the list; all of them if no name is given. */
export function networksNamed(names: readonly string[]): readonly Network[] {
  return names.length === 0 ? NETWORKS : names.flatMap((name) => name.split(',')).map(networkNamed)
}

/** Labelled pictures that no calibration reads, a thousand of them, for benches that score many variants of a classifier. */
export async function labelledTest(model: Model): Promise<Dataset> {
  return pick(await open('cifar10/test_jpeg2000.npz', model, NORMALIZED), (i) => i < 1000)
}
