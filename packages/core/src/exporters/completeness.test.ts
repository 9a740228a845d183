import { describe, expect, it } from 'vitest'
import { type Model, parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { measuredTensors, planQuantization, resolveParams, type Target } from '../quant/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { Diagnostics, must } from '../util/index.ts'
import { complete } from './completeness.ts'
import type { ExportContext } from './define.ts'
import { activationEncodings } from './encodings.ts'

function network(text: string): Model {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> ${text}`)
  for (const value of model.graph.inputs.splice(1)) {
    const dims = value.type?.kind === 'tensor' ? (value.type.shape as number[]) : []
    value.constant = Tensor.float32(dims, new Float32Array(dims.reduce((n, d) => n * d, 1)).fill(0.5))
    model.graph.initializers.add(value)
  }
  inferShapes(model, { ops: defaultOps })
  return model
}

function context(model: Model, target: Target = onnxruntime): ExportContext {
  const plan = planQuantization(model, target, defaultOps)
  const activations = new Map(measuredTensors(plan).map((t, i) => [t.value, { lo: -1 - i, hi: 1 + i }]))
  return { name: 'net', model, plan, params: resolveParams(model, plan, { activations }, new Diagnostics()), target }
}

const TWO_CONVS = `main (float32[1,2,4,4] x, float32[2,2,1,1] w1, float32[2,2,1,1] w2) => (float32[1,2,2,2] y) {
  c = Conv(x, w1) r = Relu(c) m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r) y = Conv(m, w2) }`

/** The plan without the quantizers of these values. */
const without = (cx: ExportContext, ...values: string[]): ExportContext => ({
  ...cx,
  plan: { ...cx.plan, tensors: cx.plan.tensors.filter((t) => !values.includes(t.value)) },
})

const problems = (cx: ExportContext, demands = {}) =>
  complete(cx, demands).map(({ code, message, data }) => ({ code, message, tensors: data?.tensors }))

describe('complete', () => {
  const cx = context(network(TWO_CONVS))

  it('has nothing against a plan with all its parameters', () => {
    expect(cx.plan.tensors.map((t) => t.value)).toEqual(['x', 'w1', 'r', 'm', 'w2', 'y'])
    expect(complete(cx, { holds: () => true, oneForm: true })).toEqual([])
  })

  it('names groups without usable parameters, and who takes them', () => {
    const params = new Map(cx.params)
    params.delete('r')
    params.set('x', { ...cx.params.get('x'), scale: [0] } as never)
    params.set('w1', { ...cx.params.get('w1'), scale: [1] } as never)
    expect(problems({ ...cx, params })).toEqual([
      { code: 'EXPORT_PARAMS', message: '"x" has a scale that is no positive number', tensors: ['x'] },
      { code: 'EXPORT_PARAMS', message: '"w1" needs 2 scales and has 1', tensors: ['w1'] },
      { code: 'EXPORT_PARAMS', message: '"r", which "r", "m" take, has no scale', tensors: ['r', 'm'] },
    ])
  })

  it('names tensors that the format cannot hold, once for each reason', () => {
    const holds = (t: { role: string }) => t.role === 'weight' || 'its zero point is not 0'
    const [found, ...more] = complete(cx, { holds })
    expect(more).toEqual([])
    expect(found).toMatchObject({ code: 'EXPORT_HOLDS', level: 'error', data: { tensors: ['x', 'r', 'm', 'y'] } })
    expect(found?.message).toBe('the format cannot hold "x", "r", "m", "y": its zero point is not 0')
  })

  it('names what an integer kernel reads without an encoding', () => {
    expect(problems(without(cx, 'x'))).toEqual([
      { code: 'EXPORT_PARAMS', message: '"x" is read by an integer kernel and has no encoding', tensors: ['x'] },
    ])
  })

  it('looks through nodes that move codes, up and down', () => {
    expect(problems(without(cx, 'm'))).toEqual([])
    expect(problems(without(cx, 'r'))).toEqual([])
    expect(problems(without(cx, 'r', 'm')).map((p) => p.tensors)).toEqual([['r'], ['m']])
  })

  it('refuses a constant in two forms where a name has one entry', () => {
    const twice = { ...cx, plan: { ...cx.plan, tensors: [...cx.plan.tensors, cx.plan.tensors[1] as never] } }
    expect(problems(twice)).toEqual([])
    expect(problems(twice, { oneForm: true })).toMatchObject([{ code: 'EXPORT_HOLDS', tensors: ['w1'] }])
  })
})

describe('activationEncodings', () => {
  const names = (cx: ExportContext) => [...activationEncodings(cx).keys()]

  it('gives what moves the encoding of what it is moved from', () => {
    const cx = context(network(TWO_CONVS))
    const found = activationEncodings(without(cx, 'm'))
    expect([...found.keys()]).toEqual(['x', 'r', 'm', 'y'])
    expect(found.get('m')).toBe(cx.params.get('r'))
  })

  it('gives no encoding to a value that is moved to different ones, or read otherwise', () => {
    const text = (y: string) => `main (float32[1,4] x, float32[4,4] w1, float32[4,4] w2) => (float32[1,4] y) {
      a = Exp(x) p = Flatten(a) q = Flatten(a) k = MatMul(p, w1) l = MatMul(q, w2) s = Sub(k, l) y = ${y} }`
    /** The plan without "a", with "p" and "q" on scales of their own. */
    const apart = (y: string, same: boolean): ExportContext => {
      const cx = without(context(network(text(y))), 'a')
      const params = new Map(cx.params)
      const own = must(params.get('a'), 'parameters of the group')
      params.set('p', own).set('q', same ? own : { ...own, scale: [0.5] })
      const tensors = cx.plan.tensors.map((t) => (t.group === 'a' ? { ...t, group: t.value } : t))
      return { ...cx, params, plan: { ...cx.plan, tensors } }
    }
    expect(names(apart('Abs(s)', true))).toEqual(['a', 'p', 'q'])
    expect(names(apart('Abs(s)', false))).toEqual(['p', 'q'])
    expect(names(apart('Sub(s, a)', true))).toEqual(['p', 'q'])
  })

  it('passes over the indices that a MaxPool returns, and over a Resize that interpolates, upwards', () => {
    const pooled = `main (float32[1,2,4,4] x, float32[2,2,1,1] w) => (float32[1,2,2,2] y, int64[1,2,2,2] i) {
      m, i = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) y = Conv(m, w) }`
    expect(names(context(network(pooled)))).toEqual(['x', 'm', 'y'])
    const resized = (mode: string) => `main (float32[1,2,4,4] x, float32[2,2,1,1] w) => (float32[1,2,8,8] y)
      <float32[4] twice = {1, 1, 2, 2}, float32[0] none = {}> {
      e = Exp(x) u = Resize<mode = "${mode}", coordinate_transformation_mode = "asymmetric">(e, none, twice) y = Conv(u, w) }`
    expect(names(without(context(network(resized('linear'))), 'e'))).toEqual(['u', 'y'])
    expect(names(without(context(network(resized('nearest'))), 'e'))).toEqual(['e', 'u', 'y'])
  })
})
