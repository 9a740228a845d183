import { nodeEngine } from '@fewbit/engine-node'
import { memoryData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../../engine/index.ts'
import { type Model, parseModel, Tensor } from '../../ir/index.ts'
import { rng } from '../../util/index.ts'
import type { CauseName } from './causes/index.ts'
import { type DoctorOptions, doctor } from './doctor.ts'

const engine = nodeEngine({ threads: 1 })

/** Normal weights by name; `shape` edits what a disease is made of. */
type Weights = Record<string, Float32Array>
const CHANNELS = 8

const TEXT = `<ir_version = 8, opset_import = ["": 17]> main (float32[N,4,8,8] x, float32[8,4,1,1] w1, float32[8] b1,
  float32[8,8,3,3] w2, float32[8] b2, float32[8,8,1,1] w3, float32[8] b3, float32[6,8,1,1] w4, float32[6] b4) => (float32[N,6,8,8] y) {
  [first] c1 = Conv(x, w1, b1) r1 = Relu(c1) [second] c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2, b2) r2 = Relu(c2)
  [third] c3 = Conv(r2, w3, b3) r3 = Relu(c3) [fourth] y = Conv(r3, w4, b4) }`

/** A network without any disease, changed by `shape`. */
function network(shape: (weights: Weights) => void = () => undefined, text = TEXT): Model {
  const model = parseModel(text)
  const random = rng(3)
  const { graph } = model
  const weights: Weights = {}
  const inputs = graph.inputs.splice(1)
  for (const { name, type } of inputs) {
    const dims = type?.kind === 'tensor' ? (type.shape as number[]) : []
    const size = dims.reduce((n, d) => n * d, 1)
    const spread = name.startsWith('b') ? 0.1 : 1 / Math.sqrt(size / (dims[0] ?? 1))
    weights[name] = Float32Array.from({ length: size }, () => spread * Math.max(-2.5, Math.min(2.5, random.normal())))
  }
  shape(weights)
  for (const value of inputs) {
    const dims = value.type?.kind === 'tensor' ? (value.type.shape as number[]) : []
    value.constant = Tensor.float32(dims, weights[value.name] as Float32Array)
    graph.initializers.add(value)
  }
  return model
}

/** Values cut at 2.5 standard deviations, so that extremes are no outliers; `shape` edits a sample. */
function samples(
  shape: (values: Float32Array, i: number) => void = () => undefined,
  { channels = 4, count = 16 } = {},
): Feeds[] {
  const random = rng(9)
  return Array.from({ length: count }, (_, i) => {
    const values = Float32Array.from({ length: channels * 64 }, () => Math.max(-2.5, Math.min(2.5, random.normal())))
    shape(values, i)
    return { x: Tensor.float32([1, channels, 8, 8], values) }
  })
}

const at = (list: Float32Array | undefined, i: number, f: (x: number) => number): void => {
  if (list) list[i] = f(list[i] as number)
}

async function findingsOf(model: Model, feeds: Feeds[], more: Partial<DoctorOptions> = {}) {
  const calibration = { data: memoryData(feeds), observer: 'minmax', ...more.calibration }
  const { diagnosis } = await doctor(model, { engine, target: 'qnn', ...more, calibration })
  return diagnosis
}

const gainOf = (finding: { effect?: { before: number; after: number } } | undefined): number =>
  (finding?.effect?.after ?? Number.NaN) - (finding?.effect?.before ?? Number.NaN)

const causes = ({ findings }: { findings: readonly { cause: CauseName }[] }) => findings.map(({ cause }) => cause)

describe('the doctor', () => {
  it('finds nothing wrong with a healthy network', async () => {
    expect(causes(await findingsOf(network(), samples()))).toEqual([])
  })

  it('tells outliers of activations, and what a better range does for data without them', async () => {
    const spike = (values: Float32Array, i: number) => {
      if (i === 4) values[7] = 60
    }
    const spiked = samples(spike, { count: 96 })
    const evaluation = { data: memoryData(samples()), metrics: ['sqnr'] }
    const { findings } = await findingsOf(network(), spiked, { evaluation })
    const [first] = findings
    expect(first).toMatchObject({ cause: 'activation-outliers', flags: '--observer percentile' })
    expect(first?.symptoms.some(({ at }) => at.value === 'x')).toBe(true)
    expect(gainOf(first)).toBeGreaterThan(3)
  })

  it('tells ranges that cut too much off', async () => {
    const tight = { data: memoryData(samples()), observer: 'percentile', observerOptions: { percentile: 80 } }
    const { findings } = await findingsOf(network(), samples(), { calibration: tight })
    expect(findings[0]).toMatchObject({ cause: 'clipped-activations' })
    expect(gainOf(findings[0])).toBeGreaterThan(3)
  })

  it('tells channels of weights that one scale cannot serve', async () => {
    const uneven = network(({ w2, w3 }) => {
      for (let o = 1; o < CHANNELS; o++) {
        for (let i = 0; i < 72; i++) at(w2, o * 72 + i, (w) => w / 10)
        for (let i = 0; i < CHANNELS; i++) at(w3, i * CHANNELS + o, (w) => w * 10)
      }
    })
    const { findings } = await findingsOf(uneven, samples(), { perTensor: true })
    expect(findings[0]).toMatchObject({ cause: 'uneven-weights', flags: 'without --per-tensor' })
    expect(findings[0]?.symptoms[0]?.at).toEqual({ node: 'second', value: 'w2' })
    expect(gainOf(findings[0])).toBeGreaterThan(3)
  })

  it('tells channels of activations that one scale cannot serve', async () => {
    const uneven = network(({ w2, b2, w3 }) => {
      for (let i = 0; i < 72; i++) at(w2, i, (w) => w * 24)
      at(b2, 0, (b) => b * 24)
      for (let i = 0; i < CHANNELS; i++) at(w3, i * CHANNELS, (w) => w / 24)
    })
    const { findings } = await findingsOf(uneven, samples())
    expect(findings[0]).toMatchObject({
      cause: 'uneven-activations',
      symptoms: [{ at: { node: 'second', value: 'r2' } }],
    })
  })

  it('tells means that are shifted', async () => {
    // All weights but one are 0.4 steps and vanish, on inputs of one sign.
    const shifted = network(({ w2 }) => {
      for (let i = 0; i < CHANNELS * 72; i++) at(w2, i, () => (i % 72 === 0 ? 1 : 0.4 / 127))
    })
    const { findings } = await findingsOf(shifted, samples())
    expect(findings[0]).toMatchObject({ cause: 'shifted-means', flags: '--algorithm bias-correction' })
    expect(gainOf(findings[0])).toBeGreaterThan(5)
  })

  it('tells weights with too few bits', async () => {
    const { findings } = await findingsOf(network(), samples(), { scheme: 'w4a8' })
    expect(causes({ findings })).toEqual(['coarse-weights'])
    expect(gainOf(findings[0])).toBeGreaterThan(0.5)
  })

  it('tells a layer that makes most of the error', async () => {
    // The third layer's largest weights meet a channel that is always zero: its step is coarse for nothing.
    const sensitive = network(({ w2, b2, w3 }) => {
      w2?.fill(0.01, 0, 72)
      at(b2, 0, () => -10)
      for (let o = 0; o < CHANNELS; o++) at(w3, o * CHANNELS, () => 40)
    })
    const { findings } = await findingsOf(sensitive, samples(), { target: 'onnxruntime-arm', smallLayers: 'integer' })
    expect(findings).toMatchObject([
      { cause: 'sensitive-layer', symptoms: [{ at: { node: 'third' } }], flags: '--override name=third:float' },
    ])
    expect(gainOf(findings[0])).toBeGreaterThan(3)
  })

  it('tells values that vanish in the range of their operator', async () => {
    const text = TEXT.replace('r2 = Relu(c2)', '[soft] r2 = Softmax<axis = 3>(c2)')
    const flat = network(({ w2, w3 }) => {
      for (let i = 0; i < CHANNELS * 72; i++) at(w2, i, (w) => w / 16)
      for (let i = 0; i < CHANNELS * CHANNELS; i++) at(w3, i, (w) => w * 30)
    }, text)
    const { findings } = await findingsOf(flat, samples(), { target: 'onnxruntime-arm', smallLayers: 'integer' })
    expect(findings).toMatchObject([{ cause: 'vanishing-values', symptoms: [{ at: { node: 'soft', value: 'r2' } }] }])
    expect(gainOf(findings[0])).toBeGreaterThan(1)
  })

  it('tells branches of different size that share one scale', async () => {
    const text = TEXT.replace(
      '[third] c3 = Conv(r2, w3, b3) r3 = Relu(c3) [fourth] y = Conv(r3, w4, b4)',
      '[third] c3 = Conv(r1, w3, b3) r3 = Relu(c3) [join] j = Concat<axis = 1>(r2, r3) [fourth] y = Conv(j, w4, b4)',
    ).replace('float32[6,8,1,1] w4', 'float32[6,16,1,1] w4')
    const mixed = network(({ w3, b3, w4 }) => {
      for (let i = 0; i < CHANNELS * CHANNELS; i++) at(w3, i, (w) => w / 30)
      for (let i = 0; i < CHANNELS; i++) at(b3, i, (b) => b / 30)
      for (let o = 0; o < 6; o++) for (let i = CHANNELS; i < 16; i++) at(w4, o * 16 + i, (w) => w * 30)
    }, text)
    const { findings } = await findingsOf(mixed, samples(), { target: 'onnxruntime-arm', smallLayers: 'integer' })
    expect(findings).toMatchObject([{ cause: 'mixed-ranges', symptoms: [{ at: { node: 'third', value: 'r3' } }] }])
    expect(gainOf(findings[0])).toBeGreaterThan(10)
  })

  it('tells a bias that does not fit', async () => {
    const huge = network(({ w2, b2 }) => {
      w2?.fill(1e-7, 0, 72)
      at(b2, 0, () => -500)
    })
    const { findings } = await findingsOf(huge, samples())
    expect(findings).toMatchObject([{ cause: 'bias-overflow', symptoms: [{ at: { node: 'second', value: 'b2' } }] }])
  })

  it('tells sums that can leave int32', async () => {
    const wide =
      parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,8,8,8] x) => (float32[N,1,1,1] y) <float32[1,8,8,8] w =
      {${Array.from({ length: 512 }, () => 1).join(', ')}}> { [sum] y = Conv(x, w) }`)
    const { findings } = await findingsOf(
      wide,
      samples(
        (values) =>
          values.forEach((v, i) => {
            values[i] = Math.abs(v)
          }),
        { channels: 8 },
      ),
      { scheme: 'w8a16' },
    )
    expect(findings).toMatchObject([{ cause: 'accumulator-overflow', symptoms: [{ at: { node: 'sum' } }] }])
    // 512 products of 65535 and 127 need 31.99 bits and a sign.
    expect(findings[0]?.symptoms[0]?.evidence['bits missing']).toBeCloseTo(Math.log2((512 * 65535 * 127) / 2 ** 31), 2)
  })

  it('tells powers of two, codes that are not used, pairs that saturate and dead channels', async () => {
    const shifts = await findingsOf(network(), samples(), { target: 'fpga-pot', scheme: 'w8a4' })
    expect(causes(shifts)).toEqual(['power-of-two-steps', 'unused-codes'])
    expect(gainOf(shifts.findings[0])).toBeGreaterThan(3)
    expect(causes(await findingsOf(network(), samples(), { target: 'tensorrt' }))).toEqual(['unused-codes'])
    const pairs = await findingsOf(network(), samples(), { target: 'onnxruntime', smallLayers: 'integer' })
    expect(causes(pairs)).toEqual(['pair-saturation'])
    const dead = await findingsOf(
      network(({ w2 }) => w2?.fill(0, 0, 72)),
      samples(),
    )
    expect(causes(dead)).toEqual(['dead-channels'])
  })

  it('tells data that are not those of training', async () => {
    const text = TEXT.replace('r1 = Relu(c1)', 'n1 = BatchNormalization(c1, g, beta, mean, var) r1 = Relu(n1)').replace(
      '=> (float32[N,6,8,8] y) {',
      `=> (float32[N,6,8,8] y) <float32[8] g = {${'1,'.repeat(7)}1}, float32[8] beta = {${'0,'.repeat(7)}0}, float32[8] mean = {${'0,'.repeat(7)}0},
      float32[8] var = {${'1,'.repeat(7)}1}> {`,
    )
    const { findings } = await findingsOf(
      network(undefined, text),
      samples((values) => {
        for (let i = 0; i < values.length; i++) values[i] = 128 + 50 * (values[i] as number)
      }),
    )
    expect(findings).toMatchObject([{ cause: 'input-mismatch', level: 'error' }])
  })

  it('takes remedies together that help, and says how to ask for them', async () => {
    const shifted = network(({ w2 }) => {
      for (let i = 0; i < CHANNELS * 72; i++) at(w2, i, () => (i % 72 === 0 ? 1 : 0.4 / 127))
    })
    const data = memoryData(samples())
    const { diagnosis, quantized } = await doctor(shifted, {
      ...{ engine, target: 'qnn', calibration: { data, observer: 'minmax' }, apply: true },
    })
    expect(diagnosis.cure?.causes).toContain('shifted-means')
    expect(diagnosis.cure?.after).toBeGreaterThan((diagnosis.cure?.before as number) + 5)
    expect(quantized?.report.algorithms.map(({ name }) => name)).toContain('bias-correction')
  })
})
