import { existsSync } from 'node:fs'
import type { Feeds } from '@fewbit/core/engine'
import { dynamic, type ExportContext, openvino, qdq, qoperator } from '@fewbit/core/exporters'
import {
  assertValid,
  asTensor,
  GraphBuilder,
  type Model,
  parseModel,
  readModel,
  replaceNode,
  serializeModel,
  Tensor,
  type Value,
} from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { fakeQuantize, perGroup, type QuantParams, type Target, type TensorPlan } from '@fewbit/core/quant'
import { onnxruntime } from '@fewbit/core/targets'
import { roundHalfEven } from '@fewbit/core/util'
import { exporterContract, FIXTURE_NAMES, fixture, memoryData, outputError, randomFeeds } from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { DATA } from '../../bench/lib/shared-data.ts'
import { measuredNetwork, measuredPlan, modelOf, runAll } from './measured-plan.ts'

const numbers = (feeds: readonly Feeds[]) =>
  feeds.map((f) => Object.entries(f).map(([name, tensor]) => [name, ...tensor.numbers()]))

const opTypes = (model: Model): string[] => [...model.graph.nodes].map((node) => node.qualifiedType)

async function smallPlan(model: Model, target: Target = onnxruntime): Promise<{ cx: ExportContext; feeds: Feeds[] }> {
  inferShapes(model, { ops: defaultOps })
  const feeds = [1, 2].map((seed) => randomFeeds(model, seed))
  return { cx: await measuredPlan('net', model, target, memoryData(feeds)), feeds }
}

/** ONNX Runtime makes integer kernels of the QDQ form; the operators of this form must be the same kernels. */
async function expectSameAsQdq(cx: ExportContext, feeds: readonly Feeds[]): Promise<Model> {
  const [pairs, operators] = [modelOf(qdq, cx), modelOf(qoperator, cx)]
  assertValid(operators)
  const [expected, actual] = [await runAll(pairs, feeds), await runAll(operators, feeds)]
  expect(numbers(actual)).toEqual(numbers(expected))
  return operators
}

describe('qoperator', () => {
  it.each(exporterContract(qoperator, onnxruntime))('$name', ({ run }) => run())

  it.each(FIXTURE_NAMES)('equals the integer kernels of the QDQ form of %s bit for bit', async (name) => {
    const { cx, feeds } = await smallPlan(fixture(name))
    const model = await expectSameAsQdq(cx, feeds)
    expect(leftInFloat(cx, model)).toEqual([])
  })
})

/** Nodes that the plan runs in integers, and that are still float operators. */
function leftInFloat({ plan }: ExportContext, model: Model): string[] {
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  return plan.nodes.flatMap(({ node, opType, decision }) => {
    const found = nodes.get(node)
    const isCodes = (asTensor(found?.outputs[0]?.type)?.dtype ?? 'float32') !== 'float32'
    return decision === 'integer' && found?.qualifiedType === opType && !isCodes ? [node] : []
  })
}

/** Signal to noise in dB. */
function sqnr(expected: readonly (number | string)[], actual: readonly (number | string)[]): number {
  let [signal, noise] = [0, 0]
  for (const [i, x] of expected.entries()) {
    if (typeof x !== 'number') continue
    signal += x ** 2
    noise += (x - (actual[i] as number)) ** 2
  }
  return 10 * Math.log10(signal / noise)
}

/** x quantized as ONNX defines DynamicQuantizeLinear, and back. */
function quantizedInPlace(x: ArrayLike<number>): number[] {
  const all = Array.from(x)
  const [lo, hi] = [Math.min(0, ...all), Math.max(0, ...all)]
  const scale = Math.fround((hi - lo) / 255)
  const zero = roundHalfEven(Math.min(Math.max(-lo / scale, 0), 255))
  return all.map((v) => (Math.min(Math.max(roundHalfEven(Math.fround(v / scale)) + zero, 0), 255) - zero) * scale)
}

describe('dynamic', () => {
  it.each(exporterContract(dynamic, onnxruntime))('$name', ({ run }) => run())

  it('multiplies what is quantized while the model runs with integer weights', async () => {
    const text = `<ir_version = 8, opset_import = ["": 17]> main (float32[2,3] x) => (float32[2,2] y)
      <float32[2,3] w = {1, -2, 0.5, 0.25, 1.27, -0.1}, float32[2] b = {0.5, -4}> { y = Gemm<transB = 1>(x, w, b) }`
    const { cx, feeds } = await smallPlan(parseModel(text))
    const model = modelOf(dynamic, { ...cx, params: new Map([['w', cx.params.get('w') as QuantParams]]) })
    expect(opTypes(model)).toEqual(['DynamicQuantizeLinear', 'MatMulInteger', 'Mul', 'Cast', 'Mul', 'Add'])
    const [{ y } = {}] = await runAll(model, feeds.slice(0, 1))
    const x = quantizedInPlace(feeds[0]?.x?.numbers() ?? [])
    const w = fakeQuantize([1, -2, 0.5, 0.25, 1.27, -0.1], cx.params.get('w') as QuantParams, [2, 3])
    const expected = [0, 1].flatMap((row) =>
      [0, 1].map((column) =>
        [0, 1, 2].reduce(
          (sum, k) => sum + (x[row * 3 + k] as number) * (w[column * 3 + k] as number),
          [0.5, -4][column] as number,
        ),
      ),
    )
    // Float32 products of codes and scales.
    expect(Array.from(y?.numbers() ?? [])).toEqual(expected.map((v) => expect.closeTo(v, 5)))
  })

  it.each(FIXTURE_NAMES)('comes near the float %s without any range', async (name) => {
    const { cx, feeds } = await smallPlan(fixture(name))
    const weights = new Map(
      [...cx.params].filter(([group]) => cx.plan.tensors.some((t) => t.group === group && t.role === 'weight')),
    )
    const model = modelOf(dynamic, { ...cx, params: weights })
    expect(dynamic.check({ ...cx, params: weights })).toEqual([])
    expect(opTypes(model).filter((type) => /^(Conv|MatMul|Gemm)$/.test(type)).length).toBe(name === 'attention' ? 2 : 0)
    const [expected, actual] = [await runAll(cx.model, feeds), await runAll(model, feeds)]
    // 8 bits everywhere on random weights; a wrong axis or scale misses by the whole range.
    for (const [i, outputs] of expected.entries()) expect(outputError(outputs, actual[i] ?? {})).toBeLessThan(0.05)
  })
})

const { bias: _bias, ...floatBiases } = onnxruntime

/** OpenVINO's definition of FakeQuantize in standard operators, in the place of each. */
function spellOut(model: Model): Model {
  for (const node of [...model.graph.nodes]) {
    if (node.opType !== 'FakeQuantize') continue
    const [x, low, high] = node.inputs as Value[]
    const levels = node.attributes.get('levels')
    const b = new GraphBuilder(model.graph, { before: node })
    const steps = b.constant('steps', Tensor.float32([], [levels?.kind === 'int' ? Number(levels.value) - 1 : 0]))
    const inside = b.op('Min', [b.op('Max', [x as Value, low as Value]), high as Value])
    const span = b.op('Sub', [high as Value, low as Value])
    const scaled = b.op('Mul', [b.op('Div', [b.op('Sub', [inside, low as Value]), span]), steps])
    const y = b.op('Add', [b.op('Mul', [b.op('Div', [b.op('Round', [scaled]), steps]), span]), low as Value])
    replaceNode(node, [], [y])
  }
  return model
}

describe('openvino', () => {
  it.each(exporterContract(openvino, floatBiases))('$name', ({ run }) => run())

  it.each(FIXTURE_NAMES)('says in %s what the pairs of the QDQ form say', async (name) => {
    const { cx, feeds } = await smallPlan(fixture(name), floatBiases)
    const expected = await runAll(modelOf(qdq, cx), feeds, { optimization: 'simulate' })
    const actual = await runAll(spellOut(modelOf(openvino, cx)), feeds, { optimization: 'none' })
    // Float32 arithmetic of two forms: equal but for single values near a tie, which one network has. A step is 1/255.
    for (const [i, outputs] of expected.entries()) expect(outputError(outputs, actual[i] ?? {})).toBeLessThan(1e-3)
  })

  it('can be read back: the parameters are in the bounds, and types follow', async () => {
    const { cx } = await smallPlan(fixture('residual'), floatBiases)
    const model = readModel(serializeModel(modelOf(openvino, cx)))
    expect(model.opset('org.openvinotoolkit')).toBe(1)
    const nodes = [...model.graph.nodes].filter((node) => node.opType === 'FakeQuantize')
    expect(nodes.length).toBe(cx.plan.tensors.length)
    for (const node of nodes) {
      const tensor = cx.plan.tensors.find(
        (t) => node.name === `${t.group}_FakeQuantize` || node.name.startsWith(`${t.group}_FakeQuantize_`),
      )
      const { spec, scale, zeroPoint } = cx.params.get(tensor?.group ?? '') as QuantParams
      const levels = node.attributes.get('levels')
      expect(levels).toEqual({ kind: 'int', value: BigInt(tensor?.role === 'weight' ? 255 : 256) })
      const [low, high] = [1, 2].map((i) => Array.from(node.inputs[i]?.constant?.numbers() ?? []))
      const found = scale.map(
        (_, i) => ((high?.[i] as number) - (low?.[i] as number)) / (spec.quantMax - spec.quantMin),
      )
      expect(found).toEqual(scale.map((s) => expect.closeTo(s, 8)))
      expect(found.map((s, i) => Math.abs(spec.quantMin - (low?.[i] as number) / s))).toEqual(
        zeroPoint.map((z) => expect.closeTo(z, 3)),
      )
      expect(node.outputs[0]?.type).toEqual(node.inputs[0]?.type)
    }
    for (const node of nodes) if (node.outputs[0]) node.outputs[0].type = undefined
    inferShapes(model, { ops: defaultOps })
    expect(nodes.map((node) => node.outputs[0]?.type)).toEqual(nodes.map((node) => node.inputs[0]?.type))
  })

  it('refuses groups within a channel, naming the tensor', async () => {
    const { cx } = await smallPlan(fixture('perceptron'), floatBiases)
    const [x, weight, ...rest] = cx.plan.tensors as [TensorPlan, TensorPlan, ...TensorPlan[]]
    const spec = { ...weight.spec, granularity: perGroup(4, 0) }
    const params = new Map(cx.params).set(weight.group, {
      spec,
      scale: new Array(48).fill(1),
      zeroPoint: new Array(48).fill(0),
    })
    const plan = { ...cx.plan, tensors: [x, { ...weight, spec }, ...rest] }
    expect(openvino.check({ ...cx, plan, params }).map((d) => [d.code, d.data?.tensors])).toEqual([
      ['EXPORT_HOLDS', ['w1']],
    ])
  })
})

describe.skipIf(!existsSync(DATA)).each(['resnet20', 'vww', 'honk', 'squeezenet'])('%s', (name) => {
  let measured: Awaited<ReturnType<typeof measuredNetwork>>
  beforeAll(async () => {
    measured = await measuredNetwork(name, onnxruntime)
  })

  it('in integer operators equals its QDQ form bit for bit, and nothing integer is left in float', async () => {
    const { cx, feeds } = measured
    const model = await expectSameAsQdq(cx, feeds)
    expect(leftInFloat(cx, model)).toEqual([])
  })

  it('quantized while it runs loses about as little as with measured ranges', async () => {
    const { cx, feeds } = measured
    const float = numbers(await runAll(cx.model, feeds)).flat(2)
    const fixed = sqnr(float, numbers(await runAll(modelOf(qdq, cx), feeds)).flat(2))
    const running = sqnr(float, numbers(await runAll(modelOf(dynamic, cx), feeds)).flat(2))
    // Ranges that fit each input, and operators between the products in float: seen 0.3 to 17 dB better. A wrong scale is far below.
    expect(running).toBeGreaterThan(fixed - 1)
  })
})
