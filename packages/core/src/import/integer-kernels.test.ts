import { nodeEngine } from '@fewbit/engine-node'
import { randomFeeds } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../engine/index.ts'
import { cloneModel, type Model, parseModel, serializeModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { checkStage } from '../passes/index.ts'
import { materialize, planToText } from '../quant/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { importQuantized } from './import-quantized.ts'

const engine = nodeEngine({ threads: 1 })

const PARAMETERS = `float[] xs = {0.04}, uint8[] xz = {128}, float[] as = {0.03}, uint8[] az = {120}, float[] ys = {0.05}, uint8[] yz =
  {130}, int8[3,4,1,1] w = {10, -20, 30, -128, 7, 8, 9, 127, -1, 2, -3, 4}, float[3] ws = {0.02, 0.01, 0.03}, int8[3] wz = {0, 0, 0},
  int32[3] b = {100, -2000, 40}, int8[4,3] m = {10, -20, 30, -128, 7, 8, 9, 127, -1, 2, -3, 4}, int8[3,4] mt = {10, -20, 30, -128, 7, 8,
  9, 127, -1, 2, -3, 4}, bool[] yes = {1}`

/** A quantized x of shape [1, 4, 2, 2] or [2, 4], one integer kernel on its codes, and the result in float. */
const around = (shape: string, body: string, opset = 17, result = 'ys, yz'): Model =>
  parseModel(`<ir_version = 8, opset_import = ["": ${opset}, "com.microsoft": 1]> main (float[${shape}] x, float[${shape}] v) => (float y)
    <${PARAMETERS}> { xq = QuantizeLinear(x, xs, xz) vq = QuantizeLinear(v, as, az) ${body} y = DequantizeLinear(yq, ${result}) }`)

const MS = 'com.microsoft::'

/** ContribOperators.md: operand, scale, zero point, and again; scale and zero point of the result last, or first for Concat. */
const KERNELS: Readonly<Record<string, { readonly shape: string; readonly body: string; readonly float: string }>> = {
  QLinearConv: { shape: '1,4,2,2', body: '[k] yq = QLinearConv(xq, xs, xz, w, ws, wz, ys, yz, b)', float: 'Conv' },
  'QLinearConv without a bias': {
    shape: '1,4,2,2',
    body: '[k] yq = QLinearConv(xq, xs, xz, w, ws, wz, ys, yz)',
    float: 'Conv',
  },
  QLinearMatMul: { shape: '2,4', body: '[k] yq = QLinearMatMul(xq, xs, xz, m, ws, wz, ys, yz)', float: 'MatMul' },
  QGemm: {
    shape: '2,4',
    body: `[k] yq = ${MS}QGemm<transB = 1, alpha = 1.0>(xq, xs, xz, mt, ws, wz, b, ys, yz)`,
    float: 'Gemm',
  },
  QLinearAdd: { shape: '2,4', body: `[k] yq = ${MS}QLinearAdd(xq, xs, xz, vq, as, az, ys, yz)`, float: 'Add' },
  QLinearMul: { shape: '2,4', body: `[k] yq = ${MS}QLinearMul(xq, xs, xz, vq, as, az, ys, yz)`, float: 'Mul' },
  QLinearConcat: {
    shape: '2,4',
    body: `[k] yq = ${MS}QLinearConcat<axis = 1>(ys, yz, xq, xs, xz, vq, as, az)`,
    float: 'Concat',
  },
  QLinearWhere: {
    shape: '2,4',
    body: `[k] yq = ${MS}QLinearWhere(yes, xq, xs, xz, vq, as, az, ys, yz)`,
    float: 'Where',
  },
  QLinearSigmoid: { shape: '2,4', body: `[k] yq = ${MS}QLinearSigmoid(xq, xs, xz, ys, yz)`, float: 'Sigmoid' },
  QLinearLeakyRelu: {
    shape: '2,4',
    body: `[k] yq = ${MS}QLinearLeakyRelu<alpha = 0.3>(xq, xs, xz, ys, yz)`,
    float: 'LeakyRelu',
  },
  QLinearSoftmax: {
    shape: '2,4',
    body: `[k] yq = ${MS}QLinearSoftmax<axis = -1, opset = 17>(xq, xs, xz, ys, yz)`,
    float: 'Softmax',
  },
  QLinearAveragePool: {
    shape: '1,4,2,2',
    body: `[k] yq = ${MS}QLinearAveragePool<kernel_shape = [2, 2], pads = [1, 1, 0, 0], count_include_pad = 1>(xq, xs, xz, ys, yz)`,
    float: 'AveragePool',
  },
  QLinearGlobalAveragePool: {
    shape: '1,4,2,2',
    body: `[k] yq = ${MS}QLinearGlobalAveragePool(xq, xs, xz, ys, yz)`,
    float: 'GlobalAveragePool',
  },
}

async function run(model: Model, feeds: Feeds): Promise<ArrayLike<number>> {
  const session = await engine.load(serializeModel(model), { optimization: 'none' })
  try {
    return (await session.run(feeds)).y?.numbers() ?? []
  } finally {
    await session.release()
  }
}

describe('importQuantized on integer kernels', () => {
  it.each(Object.entries(KERNELS))(
    'reads %s as the float operator between quantizers',
    async (_, { shape, body, float }) => {
      const own = around(shape, body)
      const imported = importQuantized(own, defaultOps, { target: onnxruntime })
      expect(imported.diagnostics).toEqual([])
      expect(checkStage(imported.model, 'float', defaultOps)).toEqual([])
      const made = [...imported.model.graph.nodes].find((node) => node.name === 'k')
      expect(made?.opType).toBe(float)
      const feeds = randomFeeds(own, 6)
      const [kernel, pairs] = [
        await run(own, feeds),
        await run(materialize(cloneModel(imported.model), imported.plan, imported.params), feeds),
      ]
      expect(kernel.length).toBeGreaterThan(0)
      // The kernel works in fixed point or tables, the pairs in float32: they may round a tie apart, by one step of the result.
      for (let i = 0; i < kernel.length; i++) {
        expect(Math.abs((kernel[i] as number) - (pairs[i] as number))).toBeLessThan(0.05 * 1.001)
      }
    },
  )

  it('names plan and parameters as the file has them', () => {
    const { plan } = importQuantized(
      around('1,4,2,2', '[k] yq = QLinearConv(xq, xs, xz, w, ws, wz, ys, yz, b)'),
      defaultOps,
    )
    expect(planToText(plan).split('\n')).toEqual([
      'plan imported w8a8',
      'node k Conv: integer IMPORTED macs=48',
      'activation x: uint8 affine per-tensor parameters of the file -> k',
      'weight w: int8 symmetric per-channel(0) parameters of the file -> k',
      'bias b: int32 symmetric per-channel(0) scale of x × scale of w -> k',
      'activation y: uint8 affine per-tensor parameters of the file ->  + output',
      '',
    ])
  })

  it('moves quantizers behind nodes that work on codes', async () => {
    const own = around(
      '1,4,2,2',
      `[pool] p = MaxPool<kernel_shape = [2, 2]>(xq) [flat] f = Flatten(p) [join] yq = Concat<axis = 1>(f, f)`,
      17,
      'xs, xz',
    )
    const { model, plan, params, diagnostics } = importQuantized(own, defaultOps)
    expect(diagnostics).toEqual([])
    expect(plan.nodes.map((n) => `${n.node} ${n.decision}`)).toEqual(['pool integer', 'flat integer', 'join integer'])
    const feeds = randomFeeds(own, 6)
    expect(await run(materialize(cloneModel(model), plan, params), feeds)).toEqual(await run(own, feeds))
  })

  it.each([
    [17, 'ReduceMean(x)'],
    [18, 'ReduceMean(x, axes)'],
  ])('writes the axes of QLinearReduceMean as opset %d wants them', (opset, text) => {
    // ONNX Runtime describes the operator, and has no kernel for it on CPU to compare with.
    const own = around(
      '1,4,2,2',
      `[k] yq = ${MS}QLinearReduceMean<axes = [2, 3], keepdims = 1>(xq, xs, xz, ys, yz)`,
      opset,
    )
    const [node] = importQuantized(own, defaultOps).model.graph.nodes
    expect(`${node?.opType}(${node?.inputs.map((v) => v?.name).join(', ')})`).toBe(text)
    const axes = opset < 18 ? node?.attributes.get('axes')?.value : node?.inputs[1]?.constant?.integers()
    expect([...(axes as Iterable<unknown>)].map(Number)).toEqual([2, 3])
  })

  it('keeps kernels that have no float form', () => {
    const own = around('1,2,2,4', `[k] yq = ${MS}QLinearGlobalAveragePool<channels_last = 1>(xq, xs, xz, ys, yz)`)
    const { diagnostics, model } = importQuantized(own, defaultOps)
    expect(diagnostics.map((d) => d.code)).toContain('IMPORT_KEPT')
    expect([...model.graph.nodes].map((n) => n.opType)).toContain('QLinearGlobalAveragePool')
  })
})

/** As ONNX Runtime's quantize_dynamic writes it. */
const dynamic = (body: string) =>
  parseModel(`<ir_version = 8, opset_import = ["": 17, "com.microsoft": 1]> main (float[2,4] x) => (float[2,3] y) <int8[4,3] w = {10, -20, 30,
    -128, 7, 8, 9, 127, -1, 2, -3, 4}, float[3] ws = {0.02, 0.01, 0.03}, int8[3] wz = {0, 0, 0}, float[3] b = {1, 2, 3}> { ${body} }`)

describe('importQuantized on dynamic quantization', () => {
  it.each([
    `q, s, z = DynamicQuantizeLinear(x) [mm] i = MatMulInteger(q, w, z, wz) c = Cast<to = 1>(i) f = Mul(s, ws) m = Mul(c, f)
     y = Add(m, b)`,
    `[mm] y = ${MS}DynamicQuantizeMatMul(x, w, ws, wz, b)`,
    `q, s, z = DynamicQuantizeLinear(x) [mm] y = ${MS}MatMulIntegerToFloat(q, w, s, ws, z, wz, b)`,
  ])('imports the weights of %s, and says that the rest depends on the run', async (body) => {
    const own = dynamic(body)
    const { model, plan, params, diagnostics } = importQuantized(own, defaultOps)
    expect(diagnostics.map((d) => d.code)).toEqual(['IMPORT_DYNAMIC'])
    expect([...model.graph.nodes].map((n) => n.opType)).toEqual(['MatMul', 'Add'])
    expect(
      plan.tensors.map((t) => `${t.role} ${t.value} ${params.get(t.group)?.scale.map((s) => s.toFixed(2))}`),
    ).toEqual(['weight w 0.02,0.01,0.03'])
    const feeds = randomFeeds(own, 6)
    const [a, b] = [await run(own, feeds), await run(materialize(cloneModel(model), plan, params), feeds)]
    // Four products, each off by half a step of x (a range of 4 over 255) times a weight of at most 2.6.
    for (let i = 0; i < a.length; i++)
      expect(Math.abs((a[i] as number) - (b[i] as number))).toBeLessThan(4 * 0.008 * 2.6)
  })

  it('holds MatMulInteger behind a fixed quantizer completely', () => {
    const own =
      parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[2,2] x) => (float[2,1] y) <float[] xs = {0.5}, uint8[] xz = {3},
      int8[2,1] w = {1, 2}, float[] ws = {0.25}> { q = QuantizeLinear(x, xs, xz) [mm] i = MatMulInteger(q, w, xz) c = Cast<to = 1>(i)
      f = Mul(xs, ws) y = Mul(c, f) }`)
    const { plan, params, diagnostics } = importQuantized(own, defaultOps)
    expect(diagnostics).toEqual([])
    expect(plan.tensors.map((t) => `${t.role} ${t.value} ${params.get(t.group)?.scale} -> ${t.readers}`)).toEqual([
      'activation x 0.5 -> mm',
      'weight w 0.25 -> mm',
    ])
  })

  it('keeps products whose result is scaled otherwise', () => {
    const own = dynamic(
      `q, s, z = DynamicQuantizeLinear(x) [mm] i = MatMulInteger(q, w, z, wz) c = Cast<to = 1>(i) y = Add(c, b)`,
    )
    expect(importQuantized(own, defaultOps).diagnostics.map((d) => `${d.code} ${d.at?.node}`)).toEqual([
      'IMPORT_KEPT mm',
    ])
  })
})
