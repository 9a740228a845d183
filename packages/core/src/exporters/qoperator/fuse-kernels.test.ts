import { nodeEngine } from '@fewbit/engine-node'
import { randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { assertValid, cloneModel, type Model, parseModel } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { fuseKernels } from './fuse-kernels.ts'

const engine = nodeEngine({ threads: 1 })

const CONSTANTS = `float[] s = {0.02}, float[] t = {0.05}, float[] z = {0.03}, uint8[] mid = {120}, uint8[] low = {0},
  int8[] nil = {0}, float[2] sw = {0.01, 0.02}, int8[2] zw = {0, 0}, int8[2] zu = {0, 3}, float[] half = {0.5}, float[] below = {-0.5},
  int8[2,2,1,1] w = {1, -50, 100, 127}, float[2] bias = {0.5, -0.25}, float[0] none = {}, float[4] twice = {1, 1, 2, 2}`

/** A model of pairs on x [1,2,4,4] and constants above, y out. */
function pairs(body: string, output = 'float[1,2,4,4] y'): Model {
  const text = `<ir_version = 8, opset_import = ["": 17]> main (float[1,2,4,4] x) => (${output}) <${CONSTANTS}> { ${body} }`
  const model = parseModel(text.replaceAll('float[', 'float32['))
  inferShapes(model, { ops: defaultOps })
  return model
}

const q = (to: string, from: string, scale: string, zero: string) =>
  `${to} = QuantizeLinear(${from}, ${scale}, ${zero})`
const dq = (to: string, from: string, scale: string, zero: string) =>
  `${to} = DequantizeLinear(${from}, ${scale}, ${zero})`
const pair = (to: string, from: string, scale: string, zero: string) =>
  `${q(`${to}q`, from, scale, zero)} ${dq(to, `${to}q`, scale, zero)}`
const weight = (zero = 'zw') => `wf = DequantizeLinear<axis = 0>(w, sw, ${zero})`

const opTypes = (model: Model): string[] => [...model.graph.nodes].map((node) => node.opType)

async function fused(model: Model): Promise<{ ops: string[]; difference: number }> {
  const made = cloneModel(model)
  fuseKernels(made)
  assertValid(made)
  const feeds = randomFeeds(model, 4)
  const [expected, actual] = [await runModel(engine, model, feeds), await runModel(engine, made, feeds)]
  const [a, b] = [expected.y?.numbers() ?? [], actual.y?.numbers() ?? []]
  expect(b.length).toBe(a.length)
  return { ops: opTypes(made), difference: Math.max(...Array.from(a, (x, i) => Math.abs(x - (b[i] as number)))) }
}

const border = (...ops: string[]) => ['QuantizeLinear', ...ops, 'DequantizeLinear']

describe('fuseKernels', () => {
  const unsigned = `${pair('a', 'x', 's', 'mid')} ${weight()}`
  const signed = `${pair('a', 'x', 's', 'nil')} ${weight()}`

  it.each([
    [
      'a Relu where codes end',
      `${unsigned} c = Conv(a, wf) r = Relu(c) ${pair('y', 'r', 't', 'low')}`,
      ['QLinearConv'],
    ],
    [
      'a Relu on codes that go on',
      `${signed} c = Conv(a, wf) r = Relu(c) ${pair('y', 'r', 't', 'nil')}`,
      ['QLinearConv', 'Clip'],
    ],
    [
      'a Clip on both sides',
      `${unsigned} c = Conv(a, wf) r = Clip(c, below, half) ${pair('y', 'r', 't', 'mid')}`,
      ['QLinearConv', 'Clip'],
    ],
    ['a float bias', `${unsigned} c = Conv(a, wf, bias) ${pair('y', 'c', 't', 'mid')}`, ['QLinearConv']],
    ['an Add of two tensors', `${unsigned} c = Add(a, a) ${pair('y', 'c', 't', 'mid')}`, ['QLinearAdd']],
  ])('takes in %s', async (_, body, ops) => {
    const result = await fused(pairs(body))
    expect(result.ops).toEqual(border(...ops))
    // Float sums of two products against integer ones: at most a code of 0.05, on a tie.
    expect(result.difference).toBeLessThan(0.0501)
  })

  it('clips codes exactly as the float operators would', async () => {
    // The Add is exact in both forms, so that only the clipping could differ.
    const body = `${pair('a', 'x', 's', 'mid')} c = Add(a, a) r = Relu(c) m = Clip(r, below, half) ${pair('y', 'm', 's', 'mid')}`
    expect(await fused(pairs(body))).toEqual({ ops: border('QLinearAdd', 'Clip'), difference: 0 })
  })

  it('moves codes, also where no quantizer stands behind', async () => {
    const pooled = 'p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a)'
    const result = await fused(pairs(`${pair('a', 'x', 's', 'mid')} ${pooled} y = Neg(p)`, 'float[1,2,2,2] y'))
    expect(result).toEqual({ ops: ['QuantizeLinear', 'MaxPool', 'DequantizeLinear', 'Neg'], difference: 0 })
  })

  const untouched = async (body: string, output?: string) => {
    const model = pairs(body, output)
    expect((await fused(model)).ops).toEqual(opTypes(model))
  }

  it('leaves alone what no integer operator can do', async () => {
    // A different zero point for each channel of the weight.
    await untouched(`${pair('a', 'x', 's', 'mid')} ${weight('zu')} c = Conv(a, wf) ${pair('y', 'c', 't', 'mid')}`)
    // A result that is read as it is.
    await untouched(
      `${pair('a', 'x', 's', 'mid')} ${weight()} c = Conv(a, wf) ${pair('d', 'c', 't', 'mid')} y = Sub(c, d)`,
    )
    // A float result of Conv, and operands of two types.
    await untouched(`${pair('a', 'x', 's', 'mid')} ${weight()} y = Conv(a, wf)`)
    await untouched(
      `${pair('a', 'x', 's', 'mid')} ${pair('b', 'x', 's', 'nil')} c = Add(a, b) ${pair('y', 'c', 't', 'mid')}`,
    )
    // Interpolation makes new values.
    const up = `u = Resize<mode = "linear">(a, none, twice) `
    const text = `${pair('a', 'x', 's', 'mid')} ${up} ${pair('y', 'u', 's', 'mid')}`
    await untouched(text, 'float[1,2,8,8] y')
  })
})
