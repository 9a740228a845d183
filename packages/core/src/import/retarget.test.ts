import { fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { cloneModel, type Model, nameNodes, parseModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import {
  materialize,
  measuredTensors,
  planQuantization,
  planToText,
  resolveParams,
  type Target,
} from '../quant/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { Diagnostics } from '../util/index.ts'
import { importQuantized } from './import-quantized.ts'
import { retarget } from './retarget.ts'

const read = (body: string, opset = 17) =>
  importQuantized(parseModel(`<ir_version = 8, opset_import = ["": ${opset}]> ${body}`), defaultOps)

const table = (r: ReturnType<typeof retarget>) =>
  Object.fromEntries(r.plan.tensors.map((t) => [t.value, r.params.get(t.group)?.scale[0]]))

/** int8 codes around zero for everything, as TensorRT wants them; operators and kernels as in `onnxruntime`. */
const centred: Target = {
  ...onnxruntime,
  name: 'centred',
  activations: { bits: 8, signed: true, symmetric: true, narrow: true, granularity: 'tensor' },
}

function quantized(name: 'residual' | 'branches' | 'squeeze-excite') {
  const float = fixture(name)
  nameNodes(float.graph)
  inferShapes(float, { ops: defaultOps })
  const plan = planQuantization(float, onnxruntime, defaultOps)
  const ranges = measuredTensors(plan).map((t, i) => [t.value, { lo: -1 - i / 7, hi: 2 + i / 3 }] as const)
  const params = resolveParams(float, plan, { activations: new Map(ranges) }, new Diagnostics())
  return { plan, params, model: materialize(cloneModel(float), plan, params) as Model }
}

describe('retarget', () => {
  it.each(['residual', 'branches', 'squeeze-excite'] as const)(
    'to the same backend finds the parameters of %s again',
    (name) => {
      const own = quantized(name)
      const { plan, params } = retarget(importQuantized(own.model, defaultOps), onnxruntime, defaultOps)
      const named = (p: typeof own.plan) => planToText(p).replaceAll(/measured by minmax|parameters of the file/g, '')
      expect(named(plan)).toBe(named(own.plan))
      for (const [group, { scale, zeroPoint }] of own.params) {
        expect(params.get(group)?.scale).toEqual(scale)
        expect(params.get(group)?.zeroPoint).toEqual(zeroPoint)
      }
    },
  )

  it('takes scales for symmetric codes from the range that affine ones cover, and leaves weights on their codes', () => {
    const imported =
      read(`main (float[1,2] x) => (float[1,2] y) <float[] s = {0.5}, uint8[] z = {55}, int8[2,2] w = {1, 2, 3, -4}, float[2] ws =
      {0.25, 1}> { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) v = DequantizeLinear(w, ws) [mm] y = MatMul(d, v) }`)
    const result = retarget(imported, centred, defaultOps)
    // (0 − 55) · 0.5 … (255 − 55) · 0.5 = −27.5 … 100, by 127.
    expect(table(result).x).toBe(Math.fround(100 / 127))
    expect(result.params.get('x')?.zeroPoint).toEqual([0])
    expect(result.params.get('w')?.scale).toEqual([0.25, 1])
    expect(result.plan.tensors[0]?.source).toEqual({ kind: 'imported' })
  })

  it('knows ranges of what is moved, joined and clipped', () => {
    // r is quantized behind the Relu, the Concat by nobody: its range is the union of 0…127.5 and −25.6…25.5 (by 0.2).
    const imported =
      read(`main (float[1,1,2,2] x) => (float[1,1,2,2] y) <float[] s = {0.2}, uint8[] z = {128}, float[] t = {0.5}, uint8[] o = {0},
      int8[1,1,1,1] w = {9}, int8[1,2,1,1] k = {9, 9}> { xq = QuantizeLinear(x, s, z) xd = DequantizeLinear(xq, s, z)
      wd = DequantizeLinear(w, s) c = Conv(xd, wd) r = Relu(c) rq = QuantizeLinear(r, t, o) rd = DequantizeLinear(rq, t, o)
      m = MaxPool<kernel_shape = [1, 1]>(xd) j = Concat<axis = 1>(rd, m) kd = DequantizeLinear(k, s) n = Conv(j, kd)
      nq = QuantizeLinear(n, t, o) y = DequantizeLinear(nq, t, o) }`)
    const everything: Target = { ...centred, fuse: [], ops: { ...centred.ops, Relu: { mode: 'integer' } } }
    const scales = table(retarget(imported, everything, defaultOps))
    const by127 = (x: number) => Math.fround(x / 127)
    expect(scales.r).toBe(by127(127.5))
    // Cut to what the Relu behind it hands on.
    expect(scales.c).toBe(by127(127.5))
    expect(scales.m).toBe(by127(25.6))
    expect(scales.j).toBe(by127(127.5))
  })

  it('names the tensors that the file says nothing of, and the remedy', () => {
    const imported =
      read(`main (float[1,2] x) => (float[1,2] y) <float[] s = {0.5}, int8[2,2] w = {1, 2, 3, -4}> { v = DequantizeLinear(w, s)
      [mm] h = MatMul(x, v) g = Sigmoid(h) [mm2] y = MatMul(g, v) }`)
    expect(() => retarget(imported, onnxruntime, defaultOps)).toThrow(/RETARGET_RANGE[\s\S]*"x"[\s\S]*calibrate/)
  })

  it('refuses a network that still has quantizers', () => {
    const imported =
      read(`main (float[1,2] x, float[] s) => (float[1,2] y) <float[] t = {0.5}> { q = QuantizeLinear(x, s) y =
      DequantizeLinear(q, s) }`)
    expect(() => retarget(imported, onnxruntime, defaultOps)).toThrow(/RETARGET_KEPT[\s\S]*QuantizeLinear/)
  })
})
