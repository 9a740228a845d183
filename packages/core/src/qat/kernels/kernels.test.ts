import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { probeModel } from '../../engine/index.ts'
import {
  cloneModel,
  type Model,
  parseModel,
  printModel,
  readModel,
  serializeModel,
  Tensor,
  valuesByName,
  verify,
} from '../../ir/index.ts'
import { convertQat, type PrepareQatOptions, prepareQat } from '../../pipeline/index.ts'
import { must, rng } from '../../util/index.ts'
import { standardQat } from '../context.ts'
import { inArithmeticOf } from '../edit.ts'
import { lift } from '../lift.ts'
import { readQFloat, withTrained } from '../qfloat.ts'

const engine = nodeEngine({ threads: 1 })
const SIDE = 16
const random = rng(11)
const list = (count: number, spread = 0.3) =>
  Array.from({ length: count }, () => (spread * random.normal()).toFixed(5)).join()
const weight = (name: string) => `float[16,16,3,3] w${name} = {${list(2304)}}, float[16] b${name} = {${list(16)}}`
const conv = (y: string, x: string, name: string) =>
  `[n${y}] ${y} = Conv<pads = [1, 1, 1, 1]>(${x}, w${name}, b${name})`
const positive = (count: number) => Array.from({ length: count }, () => (0.5 + random.next()).toFixed(5)).join()

/** γ of about half of the channels is negative, and one is 0. */
const norm = `float[16] g = {0, ${list(15, 0.6)}}, float[16] o = {${list(16)}}, float[16] m = {${list(16)}}, float[16] v = {${positive(16)}}`

const network = (body: string, output = 'float[N,16,H,W] y'): Model =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,16,${SIDE},${SIDE}] x) => (${output})
    <${['a', 'b', 'c'].map(weight)}, float[16,16] wm = {${list(256)}}, float[16] k = {${list(16)}}, ${norm}> { ${body} }`)

const a = conv('a', 'x', 'a')
const NETWORKS: Record<
  string,
  { readonly body: string; readonly output?: string; readonly kernels: readonly string[] }
> = {
  'Conv + Relu': { body: `${a} r = Relu(a) ${conv('y', 'r', 'b')}`, kernels: ['na', 'ny'] },
  'Conv + Clip': {
    body: `${a} lo = Constant<value_float = 0.0>() hi = Constant<value_float = 1.5>() r = Clip(a, lo, hi) ${conv('y', 'r', 'b')}`,
    kernels: ['na', 'ny'],
  },
  'Add of signed values': {
    body: `${a} ${conv('b', 'a', 'b')} [s] s = Add(b, a) ${conv('y', 's', 'c')}`,
    kernels: ['na', 'nb', 's', 'ny'],
  },
  'Add + Relu': {
    body: `${a} p = Relu(a) ${conv('b', 'p', 'b')} [s] s = Add(b, p) r = Relu(s) ${conv('y', 'r', 'c')}`,
    kernels: ['na', 'nb', 's', 'ny'],
  },
  Mul: {
    body: `${a} ${conv('b', 'a', 'b')} [s] s = Mul(b, a) ${conv('y', 's', 'c')}`,
    kernels: ['na', 'nb', 's', 'ny'],
  },
  'GlobalAveragePool, MatMul and Gemm': {
    body: `${a} r = Relu(a) [g] p = GlobalAveragePool(r) f = Flatten(p) [m] q = MatMul(f, wm) t = Relu(q) [n] y = Gemm<transB = 1>(t, wm, k)`,
    output: 'float[N,16] y',
    kernels: ['na', 'g', 'm', 'n'],
  },
  'six layers with residual branches': {
    body: `${a} p = Relu(a) ${conv('b', 'p', 'b')} ${conv('c', 'b', 'c')} [s] s = Add(c, p) q = Relu(s)
      ${conv('d', 'q', 'a').replace('[na]', '[nd]')} e = Relu(d) ${conv('f', 'e', 'b').replace('[nf]', '[ne]')} [t] t = Add(f, q) u = Relu(t) ${conv('y', 'u', 'c')}`,
    kernels: ['na', 'nb', 'nc', 's', 'nd', 'ne', 't', 'ny'],
  },
  Softmax: { body: `${a} [s] s = Softmax<axis = 1>(a) ${conv('y', 's', 'b')}`, kernels: ['na', 's', 'ny'] },
  'averages, Sigmoid and Concat': {
    body: `${a} p = AveragePool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(a) s = Sigmoid(p)
      c = Concat<axis = 2>(p, s) ${conv('y', 'c', 'b')}`,
    kernels: ['na', 'ny'],
  },
}

const samples = normalData({ x: [1, 16, SIDE, SIDE] }, 16)
const data = memoryData(samples)
const prepare = (model: Model, options: Partial<PrepareQatOptions> = {}) =>
  prepareQat(model, {
    ...{ engine, target: 'onnxruntime', tails: 'quantize', smallLayers: 'integer', calibration: { data }, ...options },
  })

/** Without what is said of it. */
function printGraph(model: Model): string {
  const copy = cloneModel(model)
  copy.metadata.clear()
  return printModel(copy)
}

async function differing(qfloat: Parameters<typeof convertQat>[0]): Promise<string[]> {
  const { conversion } = await convertQat(qfloat, { engine, data, tensors: true })
  const { outputs, tensors = [] } = must(conversion, 'conversion')
  return [...tensors, ...outputs].flatMap((d) =>
    d.equal < 1 ? [`${d.value}: ${Math.round((1 - d.equal) * d.elements)} of ${d.elements}`] : [],
  )
}

async function codesOf(model: Model, value: string): Promise<number[]> {
  const session = await engine.load(probeModel(model, [value]), { optimization: 'simulate' })
  const out = await session.run(must(samples[0], 'sample'))
  await session.release()
  return Array.from(must(out[value], value).numbers(), Number)
}

describe('a network with fake-quantizers for ONNX Runtime', () => {
  it.each(Object.keys(NETWORKS))('makes the codes of the integer kernels, all of them: %s', async (name) => {
    const { body, output, kernels } = must(NETWORKS[name], name)
    const qfloat = await prepare(network(body, output))
    expect(qfloat.record.kernels?.map(({ node }) => node)).toEqual(kernels)
    expect(verify(qfloat.model)).toEqual([])
    expect(await differing(qfloat)).toEqual([])
  })

  it('rounds sums that lie halfway as the kernels do, where real values in float32 fall on either side', async () => {
    const { body } = must(NETWORKS['Conv + Relu'], 'network')
    const qfloat = await prepare(network(body))
    const [x, w] = [Math.fround(0.03), Math.fround(0.0123)]
    // Every odd sum is a tie.
    const scales = { x_scale: x, wa_scale: w, r_scale: 2 * Math.fround(x * w) }
    const values = valuesByName(qfloat.model.graph)
    const state = Object.entries(scales).map(([name, scale]) => {
      const { dims, size } = must(values.get(name)?.constant, name)
      return [name, Tensor.float32(dims, new Float32Array(size).fill(scale))] as const
    })
    const tied = withTrained(qfloat, new Map(state))
    expect(await differing(tied)).toEqual([])
    const inFloat = inArithmeticOf(undefined, tied, standardQat())
    const plain = await codesOf(inFloat.model, 'r_dequantized')
    const found = await codesOf(tied.model, 'r_dequantized')
    const apart = found.filter((v, i) => v !== plain[i]).length
    expect(apart / found.length).toBeGreaterThan(0.002)
  })

  it.each(['lsq-plus', 'pact', 'fixed', 'qdrop'])('does so with zero points that %s makes', async (fakeQuantizer) => {
    const { body, kernels } = must(NETWORKS['Add of signed values'], 'network')
    const qfloat = await prepare(network(body), { fakeQuantizer })
    expect(qfloat.record.kernels).toHaveLength(kernels.length)
    expect(await differing(qfloat)).toEqual([])
  })

  it('does so where BatchNormalization trains behind a rounded weight, and is folded when it is deployed', async () => {
    const body = `${a} z = BatchNormalization(a, g, o, m, v) r = Relu(z) ${conv('y', 'r', 'b')}`
    const qfloat = await prepare(network(body), { batchNorm: 'none' })
    expect(qfloat.record.norms).toHaveLength(1)
    expect(verify(qfloat.model)).toEqual([])
    expect([...qfloat.model.graph.nodes].some((node) => node.opType === 'BatchNormalization')).toBe(false)
    expect(await differing(qfloat)).toEqual([])
    const { base } = lift(qfloat, standardQat().ops)
    expect([...base.graph.nodes].filter((node) => node.opType === 'BatchNormalization')).toHaveLength(1)
  })

  it('is the plain form again where it is compared in float, and that form is this one again', async () => {
    const { body } = must(NETWORKS['Add of signed values'], 'network')
    const qfloat = await prepare(network(body))
    const plain = inArithmeticOf(undefined, qfloat, standardQat())
    expect(plain.record.kernels).toEqual([])
    expect([...plain.model.graph.nodes].filter((node) => node.opType === 'Add').map(({ name }) => name)).toEqual(['s'])
    const again = inArithmeticOf('onnxruntime', readQFloat(readModel(serializeModel(plain.model))), standardQat())
    expect(again.record).toEqual(qfloat.record)
    expect(printGraph(again.model)).toBe(printGraph(qfloat.model))
    const [first, second] = [await convertQat(qfloat, { engine }), await convertQat(plain, { engine })]
    expect(printGraph(second.model)).toBe(printGraph(first.model))
    expect(second.params).toEqual(first.params)
  })
})
