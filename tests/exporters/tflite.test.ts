import { type ExportContext, qdq, tflite } from '@fewbit/core/exporters'
import { type Model, parseModel, type Tensor, valuesByName } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import type { QuantParams, TensorPlan } from '@fewbit/core/quant'
import { rng } from '@fewbit/core/util'
import { exporterContract, type FixtureName, fixture, memoryData, randomFeeds } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { TfOperator, TfTensor } from '../../packages/core/src/exporters/tflite/graph.ts'
import { readFlatbuffer } from '../../packages/core/src/exporters/tflite/read-flatbuffer.ts'
import { PADDING } from '../../packages/core/src/exporters/tflite/schema.ts'
import { translate } from '../../packages/core/src/exporters/tflite/translate.ts'
import { bytesOf, measuredPlan, modelOf, runAll } from './measured-plan.ts'
import { runReference } from './tflite-reference.ts'
import { int8Target } from './tflite-target.ts'

const WRITTEN: readonly FixtureName[] = [
  'perceptron',
  'convolutional',
  'residual',
  'squeeze-excite',
  'branches',
  'exported-shapes',
]

/** A context for one sample at a time, as TFLite runs it. */
async function prepared(model: Model) {
  inferShapes(model, { ops: defaultOps })
  const feeds = [1, 2].map((seed) => randomFeeds(model, seed, { N: 1 }))
  return { cx: await measuredPlan('net', model, int8Target, memoryData(feeds)), feeds }
}

const text = (body: string, input = '1,4,6,6', output = '1,4,6,6') =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[${input}] x) => (float32[${output}] y) ${body}`)

/** ONNX's NCHW as TFLite's NHWC, and back. */
const toLast = (t: Tensor): number[] => moved(Array.from(t.numbers()), t.dims, [0, 2, 3, 1])
const toFirst = (y: readonly number[], [n = 1, c = 1, h = 1, w = 1]: readonly number[]): number[] =>
  moved(y, [n, h, w, c], [0, 3, 1, 2])

function moved(x: readonly number[], dims: readonly number[], perm: readonly number[]): number[] {
  if (dims.length !== 4) return [...x]
  const strides = dims.map((_, i) => dims.slice(i + 1).reduce((n, d) => n * d, 1))
  const [a = 0, b = 0, c = 0, d = 0] = perm
  const range = (axis: number) => Array.from({ length: dims[axis] as number }, (_, i) => i * (strides[axis] as number))
  return range(a).flatMap((i) =>
    range(b).flatMap((j) => range(c).flatMap((k) => range(d).map((l) => x[i + j + k + l] as number))),
  )
}

/** The file, read back and run as TFLite's specification says, against the simulated QDQ form in ONNX Runtime: in steps of the output. */
async function compare(cx: ExportContext, feeds: readonly { readonly [name: string]: Tensor }[]) {
  const graph = readFlatbuffer(bytesOf(tflite, cx))
  const simulated = await runAll(modelOf(qdq, cx), feeds, { optimization: 'simulate' })
  let [worst, different, count] = [0, 0, 0]
  for (const [i, feed] of feeds.entries()) {
    const [y = []] = runReference(graph, Object.values(feed).map(toLast))
    const [expected] = Object.values(simulated[i] ?? {})
    const actual = toFirst(y, expected?.dims ?? [])
    const peak = Math.max(...Array.from(expected?.numbers() ?? [], Math.abs))
    const scale = graph.tensors[graph.outputs[0] as number]?.quantization?.scale[0] ?? peak / 127
    for (const [k, e] of Array.from(expected?.numbers() ?? []).entries()) {
      const steps = Math.abs(e - (actual[k] as number)) / scale
      worst = Math.max(worst, steps)
      different += steps > 0.5 ? 1 : 0
      count++
    }
  }
  return { graph, worst, share: different / count }
}

describe('tflite', () => {
  it.each(exporterContract(tflite, int8Target))('$name', ({ run }) => run())

  it.each(WRITTEN)('means in %s what the simulation computes', async (name) => {
    const { cx, feeds } = await prepared(fixture(name))
    expect(tflite.check(cx)).toEqual([])
    const { worst, share } = await compare(cx, feeds)
    // Codes on ties may fall either way in float32 and float64, and later layers carry them on.
    expect(worst).toBeLessThan(2.5)
    expect(share).toBeLessThan(0.02)
  })

  /** The written operators, without options that are nothing. */
  async function written(model: Model) {
    const { cx, feeds } = await prepared(model)
    expect(tflite.check(cx)).toEqual([])
    const { graph, worst } = await compare(cx, feeds)
    expect(worst).toBeLessThan(1.5)
    return { graph, types: graph.operators.map((op) => op.type), cx }
  }

  it('reads back what it wrote', async () => {
    const { cx } = await prepared(fixture('branches'))
    const { graph } = translate(cx)
    const read = readFlatbuffer(bytesOf(tflite, cx))
    const filled = graph?.operators.map((op, i) => ({
      ...op,
      options: { ...read.operators[i]?.options, ...op.options },
    }))
    const float32 = (t: TfTensor) =>
      t.quantization ? { ...t, quantization: { ...t.quantization, scale: t.quantization.scale.map(Math.fround) } } : t
    // For those who feed the file; it does not hold them.
    const { orders: _, ...stored } = graph ?? {}
    expect(read).toEqual({ ...stored, tensors: graph?.tensors.map(float32), operators: filled })
  })

  const small = `float32[4,4,3,3] w = {${numbersLike(144)}}, float32[4,1,3,3] d = {${numbersLike(36)}}, float32[4] b = {0.5, -1, 0, 2}`
  const conv = (attributes: string, wd: 'w' | 'd' = 'w') => `<${small}> { y = Conv<${attributes}>(x, ${wd}, b) }`

  it('stores weights as OHWI, and a bias of int32 on the grid of the products', async () => {
    const { graph, cx } = await written(text(conv('pads = [1, 1, 1, 1]')))
    const op = graph.operators[0] as TfOperator
    const [x, w, b] = op.inputs.map((i) => graph.tensors[i] as TfTensor)
    expect([x?.shape, w?.shape, b?.shape, b?.type]).toEqual([[1, 6, 6, 4], [4, 3, 3, 4], [4], 'INT32'])
    expect(w?.quantization).toMatchObject({ axis: 0, zeroPoint: [0, 0, 0, 0] })
    const [sx, sw] = [x?.quantization?.scale[0] as number, w?.quantization?.scale as readonly number[]]
    expect(b?.quantization?.scale).toEqual(sw.map((s) => Math.fround(sx * s)))
    const codes = new Int32Array((b?.data ?? new Uint8Array()).slice().buffer)
    expect([...codes]).toEqual([0.5, -1, 0, 2].map((v, c) => Math.round(v / Math.fround(sx * (sw[c] as number)))))
    // Channel 1, row 0, column 2, input 3 of ONNX's [O, I, H, W].
    const stored = new Int8Array((w?.data ?? new Uint8Array()).slice().buffer)[((1 * 3 + 0) * 3 + 2) * 4 + 3] as number
    const real = valuesByName(cx.model.graph).get('w')?.constant?.numbers()[((1 * 4 + 3) * 3 + 0) * 3 + 2] as number
    expect(stored).toBe(Math.round(real / (sw[1] as number)))
  })

  it.each([
    ['pads = [1, 1, 1, 1]', ['CONV_2D'], PADDING.SAME],
    ['pads = [0, 0, 0, 0]', ['CONV_2D'], PADDING.VALID],
    ['auto_pad = "SAME_UPPER", strides = [2, 2]', ['CONV_2D'], PADDING.SAME],
    ['pads = [0, 0, 1, 1], strides = [2, 2]', ['CONV_2D'], PADDING.SAME],
    // The odd element in front: no padding of TFLite's.
    ['pads = [1, 1, 0, 0], strides = [2, 2]', ['PAD', 'CONV_2D'], PADDING.VALID],
    ['pads = [2, 2, 2, 2]', ['PAD', 'CONV_2D'], PADDING.VALID],
    ['pads = [2, 2, 2, 2], dilations = [2, 2]', ['CONV_2D'], PADDING.SAME],
  ] as const)('pads Conv<%s> with %j', async (attributes, types, padding) => {
    const out = /strides/.test(attributes)
      ? '1,4,3,3'
      : /0, 0, 0, 0/.test(attributes)
        ? '1,4,4,4'
        : /\[2, 2, 2, 2\]$/.test(attributes)
          ? '1,4,8,8'
          : '1,4,6,6'
    const result = await written(text(conv(attributes), '1,4,6,6', out))
    expect(result.types).toEqual(types)
    expect(result.graph.operators.at(-1)?.options.padding).toBe(padding)
  })

  it('writes depthwise convolutions with their channels last', async () => {
    const { graph, types } = await written(text(conv('pads = [1, 1, 1, 1], group = 4', 'd')))
    expect(types).toEqual(['DEPTHWISE_CONV_2D'])
    const weight = graph.tensors[graph.operators[0]?.inputs[1] as number]
    expect([weight?.shape, weight?.quantization?.axis]).toEqual([[1, 3, 3, 4], 3])
  })

  it.each(['Gemm(l, f)', 'Gemm<transB = 1>(l, g)', 'MatMul(l, f)'])(
    'takes an image that is turned to NCHW as it comes, and turns the matrix of %s behind a Flatten',
    async (product) => {
      const body = `<${small}, float32[144,2] f = {${numbersLike(288)}}, float32[2,144] g = {${numbersLike(288)}}> {
        t = Transpose<perm = [0, 3, 1, 2]>(x) c = Conv<pads = [1, 1, 1, 1]>(t, w, b) r = Relu(c) l = Flatten(r) y = ${product} }`
      const { cx, feeds } = await prepared(text(body, '1,6,6,4', '1,2'))
      const graph = readFlatbuffer(bytesOf(tflite, cx))
      expect(graph.operators.map((op) => op.type)).toEqual(['CONV_2D', 'RESHAPE', 'FULLY_CONNECTED'])
      expect(graph.tensors[graph.inputs[0] as number]?.shape).toEqual([1, 6, 6, 4])
      const simulated = await runAll(modelOf(qdq, cx), feeds, { optimization: 'simulate' })
      for (const [i, feed] of feeds.entries()) {
        // The image is NHWC in ONNX already.
        const [y = []] = runReference(graph, [Array.from(feed.x?.numbers() ?? [])])
        const scale = graph.tensors[graph.outputs[0] as number]?.quantization?.scale[0] as number
        const steps = Array.from(simulated[i]?.y?.numbers() ?? [], (e, k) => Math.abs(e - (y[k] as number)) / scale)
        expect(Math.max(...steps)).toBeLessThan(1.5)
      }
    },
  )

  it('concatenates channels where they are, and brings operands onto the scale of the result', async () => {
    const body = `<${small}, float32[4,8,1,1] k = {${numbersLike(32)}}> { a = Conv<pads = [1, 1, 1, 1]>(x, w) c = Conv<pads = [1, 1, 1, 1], group = 4>(x, d)
      s = Add(a, c) j = Concat<axis = 1>(s, a) y = Conv(j, k) }`
    const { graph, types } = await written(text(body))
    expect(types.filter((t) => t === 'CONCATENATION' || t === 'TRANSPOSE')).toEqual(['CONCATENATION'])
    const join = graph.operators.find((op) => op.type === 'CONCATENATION') as TfOperator
    expect(join.options.axis).toBe(3)
    const scales = [...join.inputs, ...join.outputs].map((i) => graph.tensors[i]?.quantization?.scale[0])
    expect(new Set(scales).size).toBe(1)
  })

  it.each([
    ['DepthToSpace', 'mode = "CRD", ', '1,1,6,6', '1,4,3,3'],
    ['DepthToSpace', '', '1,1,6,6', '1,4,3,3'],
    ['SpaceToDepth', '', '1,16,3,3', '1,4,6,6'],
  ] as const)('rearranges channels as ONNX does: %s %s', async (type, mode, output, input) => {
    const body = `<float32[4,4,1,1] k = {${numbersLike(16)}}> { a = Conv(x, k) y = ${type}<${mode}blocksize = 2>(a) }`
    const { types } = await written(text(body, input, output))
    expect(types.filter((t) => t.includes('SPACE') || t.includes('DEPTH'))).toHaveLength(1)
  })

  it('fixes the result of Softmax at 1/256 and −128, and converts where the plan has another', async () => {
    const body = `<float32[4,3] f = {${numbersLike(12)}}, float32[3,2] g = {${numbersLike(6)}}> { l = MatMul(x, f) s = Softmax(l) y = MatMul(s, g) }`
    const { graph, cx } = await written(text(body, '2,4', '2,2'))
    const result = graph.tensors[graph.operators.find((op) => op.type === 'SOFTMAX')?.outputs[0] as number]
    expect(result?.quantization).toMatchObject({ scale: [1 / 256], zeroPoint: [-128] })
    const group = cx.plan.tensors.find((t) => t.value === 's')?.group as string
    const other = { ...(cx.params.get(group) as QuantParams), scale: [0.5] }
    const converted = readFlatbuffer(bytesOf(tflite, { ...cx, params: new Map(cx.params).set(group, other) }))
    expect(converted.operators.map((op) => op.type)).toEqual([
      'FULLY_CONNECTED',
      'SOFTMAX',
      'QUANTIZE',
      'FULLY_CONNECTED',
    ])
  })

  it('refuses, naming each, operators that TFLite has not, open sizes, and specs that are not int8', async () => {
    const { cx } = await prepared(text('{ a = Erf(x) y = Atan(a) }'))
    expect(tflite.check(cx).map((d) => [d.code, d.at?.node])).toEqual([
      ['EXPORT_OPERATOR', 'Erf'],
      ['EXPORT_OPERATOR', 'Atan'],
    ])
    const open = text(conv('pads = [1, 1, 1, 1]'), '1,4,H,W', '1,4,H,W')
    const sized = await measuredPlan('net', open, int8Target, memoryData([randomFeeds(open, 1, { H: 6, W: 6 })]))
    expect(tflite.check(sized).map((d) => [d.code, d.at?.value])).toEqual([['EXPORT_SHAPE', 'x']])
    const { cx: fine } = await prepared(text(conv('pads = [1, 1, 1, 1]')))
    const wide = (t: TensorPlan): TensorPlan =>
      t.role === 'activation' ? { ...t, spec: { ...t.spec, quantMin: -127 } } : t
    const plan = { ...fine.plan, tensors: fine.plan.tensors.map(wide) }
    expect(tflite.check({ ...fine, plan }).map((d) => [d.code, d.data?.tensors])).toEqual([
      ['EXPORT_HOLDS', ['x', 'y']],
    ])
  })

  it('clips behind the kernel where it has no activation for it', async () => {
    const body = `<${small}, float32[] lo = {-0.5}, float32[] hi = {0.7}> { a = Conv<pads = [1, 1, 1, 1]>(x, w, b) y = Clip(a, lo, hi) }`
    const model = text(body)
    inferShapes(model, { ops: defaultOps })
    const feeds = [randomFeeds(model, 3)]
    const fuse = [{ name: 'Clip', hosts: ['Conv'], chain: ['Clip'], clips: 'accumulator' as const }]
    const cx = await measuredPlan('net', model, { ...int8Target, fuse }, memoryData(feeds))
    const wide = { ...(cx.params.get('y') as QuantParams), scale: [0.02], zeroPoint: [3] }
    const { graph, worst } = await compare({ ...cx, params: new Map(cx.params).set('y', wide) }, feeds)
    expect(graph.operators.map((op) => op.type)).toEqual(['CONV_2D', 'MAXIMUM', 'MINIMUM'])
    expect(worst).toBeLessThan(1.5)
  })

  it('keeps float operators between DEQUANTIZE and QUANTIZE', async () => {
    const body = `<${small}, float32[4] one = {1, 2, 1, 0.5}> { a = Conv<pads = [1, 1, 1, 1]>(x, w, b) r = Relu(a)
      n = BatchNormalization(r, one, b, b, one) y = Conv<pads = [1, 1, 1, 1]>(n, w, b) }`
    const { types } = await written(text(body))
    expect(types).toEqual(['CONV_2D', 'DEQUANTIZE', 'MUL', 'ADD', 'QUANTIZE', 'CONV_2D'])
  })
})

function numbersLike(count: number): string {
  const random = rng(count)
  return Array.from({ length: count }, () => (0.3 * random.normal()).toFixed(3)).join(', ')
}
