import { nodeEngine } from '@fewbit/engine-node'
import { FIXTURE_NAMES, fixture, outputError, randomFeeds } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Feeds, LoadOptions } from '../engine/index.ts'
import { EXPORTERS } from '../exporters/index.ts'
import { cloneModel, type Model, nameNodes, parseModel, printModel, serializeModel, valuesByName } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { checkStage, inferShapes } from '../passes/index.ts'
import {
  materialize,
  measuredTensors,
  planQuantization,
  planToText,
  requiredOpset,
  resolveParams,
  type Target,
  withoutHeadroom,
} from '../quant/index.ts'
import { onnxruntime, TARGETS } from '../targets/index.ts'
import { Diagnostics } from '../util/index.ts'
import { type ImportedModel, importQuantized } from './import-quantized.ts'

const engine = nodeEngine({ threads: 1 })

const model = (text: string, opset = 17): Model =>
  parseModel(`<ir_version = 10, opset_import = ["": ${opset}, "com.microsoft": 1]> ${text}`)

const taken = (text: string, opset?: number): ImportedModel =>
  importQuantized(model(text, opset), defaultOps, { target: onnxruntime })

const again = ({ model, plan, params }: ImportedModel): Model => materialize(cloneModel(model), plan, params)

const codes = (imported: ImportedModel) => imported.diagnostics.map((d) => d.code)

const planLines = (imported: ImportedModel) => planToText(imported.plan).split('\n').slice(1, -1)

async function run(m: Model, feeds: Feeds, options: LoadOptions): Promise<Feeds> {
  const session = await engine.load(serializeModel(m), options)
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

/** A fixture network with parameters from ranges that are only numbers: they are told apart, and nothing else counts. */
function quantized(name: (typeof FIXTURE_NAMES)[number], target: Target = onnxruntime, scheme = 'w8a8') {
  const float = fixture(name)
  nameNodes(float.graph)
  inferShapes(float, { ops: defaultOps })
  const plan = planQuantization(float, target, defaultOps, { scheme })
  const needed = requiredOpset(plan)
  if (needed > float.opset()) float.opsets.set('', needed)
  const ranges = measuredTensors(plan).map((t, i) => [t.value, { lo: -1 - i / 7, hi: 2 + i / 3 }] as const)
  const params = resolveParams(float, plan, { activations: new Map(ranges) }, new Diagnostics())
  return { float, plan, params, model: materialize(cloneModel(float), plan, params) }
}

describe('importQuantized on what fewbit wrote', () => {
  it.each(FIXTURE_NAMES)('finds plan and parameters of %s again, and writes the same graph', (name) => {
    const own = quantized(name)
    const imported = importQuantized(own.model, defaultOps, { target: onnxruntime })
    const facts = (plan: typeof own.plan) =>
      plan.tensors.map((t) => [t.value, t.role, t.group, t.readers, t.graphOutput])
    expect(facts(imported.plan)).toEqual(facts(own.plan))
    for (const [group, { scale, zeroPoint }] of own.params) {
      expect(imported.params.get(group)).toMatchObject({ scale, zeroPoint })
    }
    expect(checkStage(imported.model, 'float', defaultOps)).toEqual([])
    // Order aside: constants are written in the order of the plan.
    const lines = (m: Model) => printModel(m).split('\n').sort()
    expect(lines(again(imported))).toEqual(lines(own.model))
    expect(codes(imported)).toEqual([])
  })

  /** Patterns of activations, quantizers on inputs only, early code ends, alignment: habits that quantizers alone do not tell. */
  it.each([TARGETS.tensorrt, TARGETS.openvino, TARGETS.fbgemm, TARGETS.tflite])(
    'finds the decisions of $name again',
    (target) => {
      for (const name of FIXTURE_NAMES) {
        const own = quantized(name, target)
        const imported = importQuantized(own.model, defaultOps, { target })
        const decisions = (plan: typeof own.plan) => plan.nodes.map((n) => `${n.node} ${n.decision}`)
        expect(decisions(imported.plan)).toEqual(decisions(own.plan))
        const ends = ({ plan, params }: Pick<ImportedModel, 'plan' | 'params'>) =>
          plan.tensors
            .filter((t) => t.role === 'activation')
            .map((t) => {
              // Room above the codes in use is a matter of choosing scales: the file's codes go to the ends of their type.
              const { quantMin, quantMax } = withoutHeadroom(t.spec)
              return [t.value, quantMin, quantMax, params.get(t.group)?.scale]
            })
        expect(ends(imported)).toEqual(ends(own))
      }
    },
  )

  it.each([3, 2])(
    'runs what has %d bits with all of ONNX Runtime’s optimizations, and finds the bits again',
    async (bits) => {
      const own = quantized('residual', { ...TARGETS.academic, edgeBits: bits }, `w${bits}a${bits}`)
      const feeds = randomFeeds(own.float, 1)
      const imported = importQuantized(own.model, defaultOps, { target: TARGETS.academic })
      const activations = imported.plan.tensors.filter((t) => t.role === 'activation')
      expect(new Set(activations.map((t) => t.spec.bits))).toEqual(new Set([bits]))
      const [plain, fast] = [
        await run(own.model, feeds, { optimization: 'none' }),
        await run(own.model, feeds, { optimization: 'all' }),
      ]
      expect(outputError(plain, fast)).toBeLessThan(1e-4)
    },
  )

  it('takes target and scheme from the recipe, and the recipe out of the float network', () => {
    const own = quantized('perceptron').model
    own.metadata.set('fewbit.recipe', JSON.stringify({ settings: { target: 'elsewhere', scheme: 'w7a8' } }))
    const imported = importQuantized(own, defaultOps)
    expect(imported.plan).toMatchObject({ target: 'elsewhere', scheme: 'w7a8' })
    expect(imported.model.metadata.has('fewbit.recipe')).toBe(false)
    own.metadata.set('fewbit.recipe', 'torn')
    expect(importQuantized(own, defaultOps).plan).toMatchObject({ target: 'imported', scheme: 'w8a8' })
  })

  it('refuses a float model', () => {
    expect(() => importQuantized(fixture('perceptron'), defaultOps)).toThrow(/IMPORT_FLOAT/)
  })
})

describe('importQuantized on what the exporters write', () => {
  const facts = ({ plan, params }: Pick<ImportedModel, 'plan' | 'params'>, digits: number) =>
    plan.tensors
      .map(({ value, role, group, readers, graphOutput = false }) => {
        const { scale = [], zeroPoint = [] } = params.get(group) ?? {}
        return `${role} ${value} ${readers} ${graphOutput} ${scale.map((s) => s.toPrecision(digits))} ${zeroPoint}`
      })
      .sort()
  const written = (name: (typeof FIXTURE_NAMES)[number], by: 'qoperator' | 'openvino') => {
    const own = quantized(name)
    const cx = { name, model: cloneModel(own.float), plan: own.plan, params: own.params, target: onnxruntime }
    const [file] = EXPORTERS[by].emit(cx)
    if (file?.kind !== 'model') throw new Error('no model')
    return { own, imported: importQuantized(file.model, defaultOps, { target: onnxruntime }) }
  }

  // exported-shapes has an Identity, behind which the integer form of the graph has codes too.
  it.each(FIXTURE_NAMES.filter((name) => name !== 'exported-shapes'))('finds %s in integer operators', (name) => {
    const { own, imported } = written(name, 'qoperator')
    expect(facts(imported, 9)).toEqual(facts(own, 9))
    expect(codes(imported)).toEqual([])
    expect(checkStage(imported.model, 'float', defaultOps)).toEqual([])
  })

  it.each(FIXTURE_NAMES)('finds %s in FakeQuantize nodes', (name) => {
    const { own, imported } = written(name, 'openvino')
    const tensors = own.plan.tensors.filter((t) => t.role !== 'bias')
    // Bounds are float32, so that scales come back to the sixth digit.
    expect(facts(imported, 6)).toEqual(facts({ ...own, plan: { ...own.plan, tensors } }, 6))
    expect(codes(imported)).toEqual([])
    expect(imported.plan.tensors.filter((t) => t.role === 'weight').every((t) => t.spec.quantMin === -127)).toBe(true)
  })

  it('keeps FakeQuantize nodes that are no plain grid', () => {
    const fake = (
      low: number,
      outLow: number,
    ) => `main (float[1,2] x) => (float[1,2] y) <float[] l = {${low}}, float[] h = {1}, float[] o =
      {${outLow}}> { y = org.openvinotoolkit::FakeQuantize<levels = 256>(x, l, h, o, h) }`
    const why = (low: number, outLow: number) =>
      taken(fake(low, outLow)).diagnostics.map((d) => d.message.split(': ')[1])
    expect(why(0, 0)).toEqual([])
    expect(why(0, 0.5)).toEqual(['it maps its input to another range'])
    expect(why(-0.9, -0.9)).toEqual(['zero is none of its levels'])
  })
})

/** As ONNX Runtime's Python quantizer writes it: scales of one element, a Relu dropped, int32 biases with their product. */
const ORT_QDQ = `main (float[1,2,2,2] x) => (float[1,2,2,2] y) <float[] xs = {0.5}, uint8[] xz = {128}, int8[2,2,1,1] w_quantized =
  {10, -20, 30, -128}, float[2] ws = {0.25, 0.125}, int8[2] wz = {0, 0}, int32[2] b_quantized = {8, -16}, float[2] bs = {0.125,
  0.0625}, int32[2] bz = {0, 0}, float[] cs = {0.5}, uint8[] cz = {0}, uint8[2,1,1] k_quantized = {3, 4}, float[] ys = {0.75},
  uint8[] yz = {0}> {
  xq = QuantizeLinear(x, xs, xz) xd = DequantizeLinear(xq, xs, xz)
  wd = DequantizeLinear<axis = 0>(w_quantized, ws, wz) bd = DequantizeLinear<axis = 0>(b_quantized, bs, bz)
  [conv] c = Conv(xd, wd, bd) [relu] r = Relu(c) rq = QuantizeLinear(r, cs, cz) rd = DequantizeLinear(rq, cs, cz)
  kd = DequantizeLinear(k_quantized, cs, cz) [add] s = Add(rd, kd)
  sq = QuantizeLinear(s, ys, yz) y = DequantizeLinear(sq, ys, yz) }`

describe('importQuantized on QDQ files of others', () => {
  it('reads pairs, stored weights, biases and constant operands', () => {
    const imported = taken(ORT_QDQ)
    expect(planLines(imported)).toEqual([
      'node conv Conv: integer IMPORTED macs=16',
      'node relu Relu: fused IMPORTED',
      'node add Add: integer IMPORTED',
      'activation x: uint8 affine per-tensor parameters of the file -> conv',
      'weight w: int8 symmetric per-channel(0) parameters of the file -> conv',
      'bias b: int32 symmetric per-channel(0) scale of x × scale of w -> conv',
      'activation r: uint8 affine per-tensor parameters of the file -> add',
      'weight k: uint8 affine per-tensor parameters of the file -> add',
      'activation y: uint8 affine per-tensor parameters of the file ->  + output',
    ])
    const values = valuesByName(imported.model.graph)
    // Codes times their channel's scale: 10 · 0.25, −20 · 0.25, 30 · 0.125, −128 · 0.125.
    expect([...(values.get('w')?.constant?.numbers() ?? [])]).toEqual([2.5, -5, 3.75, -16])
    expect([...(values.get('b')?.constant?.numbers() ?? [])]).toEqual([1, -1])
    expect(imported.params.get('x')).toMatchObject({ scale: [0.5], zeroPoint: [128] })
  })

  it('gives the same codes when it is written again', async () => {
    const own = model(ORT_QDQ)
    const feeds = randomFeeds(own, 4)
    for (const options of [{ optimization: 'simulate' }, { optimization: 'all' }] as const) {
      expect(outputError(await run(own, feeds, options), await run(again(taken(ORT_QDQ)), feeds, options))).toBe(0)
    }
  })

  it('keeps a Relu apart whose quantizer reaches below zero', () => {
    const imported = taken(ORT_QDQ.replace('uint8[] cz = {0}', 'uint8[] cz = {7}'))
    expect(planLines(imported).slice(0, 2)).toEqual([
      'node conv Conv: quantized IMPORTED macs=16',
      'node relu Relu: float IMPORTED',
    ])
  })

  it('reads weights that stand in float before their quantizer, and parameters from Constant nodes', () => {
    const imported = taken(`main (float[1,2] x) => (float[1,2] y) <float[2,2] w = {1, 2, 3, -1}, float[] ws = {0.025}> {
      s = Constant<value = float[] {0.1}>() xq = QuantizeLinear(x, s) xd = DequantizeLinear(xq, s)
      z = Constant<value = int8[] {0}>() wq = QuantizeLinear(w, ws, z) wd = DequantizeLinear(wq, ws, z)
      [mm] y = MatMul(xd, wd) }`)
    expect(planLines(imported)).toEqual([
      'node mm MatMul: integer IMPORTED macs=4',
      'activation x: uint8 affine per-tensor parameters of the file -> mm',
      'weight w: int8 symmetric per-tensor parameters of the file -> mm',
    ])
    // The float values of the file, not what their codes stand for.
    expect([...(valuesByName(imported.model.graph).get('w')?.constant?.numbers() ?? [])]).toEqual([1, 2, 3, -1])
  })

  it('reads blocks of 4 bits, and 16 bits of ONNX Runtime’s own domain', () => {
    const imported = taken(
      `main (float[1,4] x) => (float[1,2] y) <int4[4,2] w = {1, -2, 3, 4, -5, 6, 7, -8}, float[2,2] ws = {0.5, 1, 2, 4},
      float[] xs = {0.001}, uint16[] xz = {30000}> {
      xq = com.microsoft::QuantizeLinear(x, xs, xz) xd = com.microsoft::DequantizeLinear(xq, xs, xz)
      wd = DequantizeLinear<axis = 0, block_size = 2>(w, ws) [mm] y = MatMul(xd, wd) }`,
      21,
    )
    expect(planLines(imported)).toEqual([
      'node mm MatMul: quantized IMPORTED macs=8',
      'activation x: uint16 affine per-tensor parameters of the file -> mm',
      'weight w: int4 symmetric per-group(2 along 0) parameters of the file -> mm',
    ])
    const values = [...(valuesByName(imported.model.graph).get('w')?.constant?.numbers() ?? [])]
    expect(values).toEqual([0.5, -2, 1.5, 4, -10, 24, 14, -32])
    expect(imported.plan.scheme).toBe('w4a16')
  })

  it('looks for the role of a constant behind nodes that move its elements', () => {
    const imported =
      taken(`main (float[1,2] x) => (float[1,3] y) <int8[3,2] w = {1, 2, 3, 4, 5, 6}, float[3] ws = {1, 2, 3}, float[] s = {1}> {
      xq = QuantizeLinear(x, s) xd = DequantizeLinear(xq, s) wd = DequantizeLinear<axis = 0>(w, ws)
      [turn] t = Transpose<perm = [1, 0]>(wd) [mm] y = MatMul(xd, t) }`)
    expect(imported.plan.tensors.map((t) => `${t.role} ${t.value} -> ${t.readers}`)).toEqual([
      'activation x -> mm',
      'weight w -> turn',
    ])
  })

  it('shares a group between a tensor and what it is moved into, where the file gives both the same scale', () => {
    const text = `main (float[1,1,2,2] x) => (float[1,4] y) <float[] s = {0.5}, float[] t = {0.5}, float[] u = {0.25}> {
      xq = QuantizeLinear(x, s) xd = DequantizeLinear(xq, s) m = MaxPool<kernel_shape = [1, 1]>(xd)
      mq = QuantizeLinear(m, t) md = DequantizeLinear(mq, t) f = Flatten(md) fq = QuantizeLinear(f, u) y = DequantizeLinear(fq, u) }`
    expect(taken(text).plan.tensors.map((t) => t.group)).toEqual(['x', 'x', 'y'])
  })

  it('holds a tensor in two forms, and says when one is quantized twice in a row', () => {
    const imported =
      taken(`main (float[1,2] x) => (float[1,2] y, float[1,2] z) <float[] a = {0.5}, float[] b = {0.25}> {
      q = QuantizeLinear(x, a) d = DequantizeLinear(q, a) [one] y = Neg(d)
      q2 = QuantizeLinear(d, b) d2 = DequantizeLinear(q2, b) q3 = QuantizeLinear(d2, b) d3 = DequantizeLinear(q3, b)
      [two] z = Abs(d3) }`)
    expect(codes(imported)).toEqual(['IMPORT_REQUANTIZED'])
    expect(
      imported.plan.tensors.map((t) => `${t.value} ${t.group} ${imported.params.get(t.group)?.scale} ${t.readers}`),
    ).toEqual(['x x 0.5 one', 'x x@two 0.25 two'])
  })

  it('says where a node reads a tensor in two forms', () => {
    const text = `main (float[1,2] x) => (float[1,2] y) <float[] a = {0.5}> { q = QuantizeLinear(x, a) d = DequantizeLinear(q, a)
      e = DequantizeLinear(q, a) [add] y = Add(d, OTHER) }`
    expect(codes(taken(text.replace('OTHER', 'x')))).toEqual(['IMPORT_MIXED'])
    expect(codes(taken(text.replace('OTHER', 'e')))).toEqual([])
  })

  it('opens inputs and outputs that are codes, and says so', () => {
    const imported =
      taken(`main (uint8[1,2] x) => (uint8[1,2] y) <float[] s = {0.5}, uint8[] z = {9}, float[] t = {0.25}> {
      d = DequantizeLinear(x, s, z) [neg] n = Neg(d) y = QuantizeLinear(n, t, z) }`)
    expect(codes(imported)).toEqual(['IMPORT_INTERFACE', 'IMPORT_INTERFACE'])
    expect(printModel(imported.model)).toMatch(/float32\[1,2\] x\) => \(float32\[1,2\] y\)/)
    expect(imported.plan.tensors.map((t) => `${t.value} ${t.readers} ${t.graphOutput ?? ''}`)).toEqual([
      'x neg ',
      'y  true',
    ])
  })

  it('leaves in place what no parameter table holds, and names it', () => {
    const imported =
      taken(`main (float[1,2] x, float[] s) => (float[1,2] y, float[1,2] z) <float[] t = {0.5}, uint8[] o = {0}> {
      [open] q = QuantizeLinear(x, s, o) y = DequantizeLinear(q, s, o)
      q2 = QuantizeLinear(x, t, o) z = DequantizeLinear(q2, t, o) }`)
    expect(imported.diagnostics.map((d) => `${d.code} ${d.at?.node}`)).toEqual(['IMPORT_KEPT open'])
    expect([...imported.model.graph.nodes].map((n) => n.opType)).toContain('QuantizeLinear')
  })

  it('says where int32 codes are beyond what float32 tells apart', () => {
    const imported =
      taken(`main (float[1,1] x) => (float[1,1] y) <float[] s = {1}, int8[1,1] w = {1}, int32[1] b = {16777217}> {
      xq = QuantizeLinear(x, s) xd = DequantizeLinear(xq, s) wd = DequantizeLinear(w, s) bd = DequantizeLinear(b, s) y = Gemm(xd, wd, bd) }`)
    expect(codes(imported)).toEqual(['IMPORT_INEXACT'])
  })
})
