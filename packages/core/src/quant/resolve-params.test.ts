import { describe, expect, it } from 'vitest'
import { parseModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { Diagnostics } from '../util/index.ts'
import { planQuantization } from './planner.ts'
import { powerOfTwo } from './power-of-two.ts'
import { resolveParams } from './resolve-params.ts'
import type { Target } from './target.ts'

/** A Gemm whose second output channel has a bias that dwarfs its weights, behind a Clip at 6. */
const TEXT = `<ir_version = 8, opset_import = ["": 17]> main (float32[1,2] x) => (float32[1,2] y)
  <float32[2,2] w = {0.5, 1e-7, -1.5, 2e-7}, float32[2] b = {0.25, 1000}, float32[] zero = {0}, float32[] six = {6}>
  { g = Gemm(x, w, b) c = Clip(g, zero, six) f = Flatten(c) y = Gemm(f, w) }`

function resolve(over: Partial<Target>) {
  const model = parseModel(TEXT)
  inferShapes(model, { ops: defaultOps })
  const plan = planQuantization(model, { ...onnxruntime, ...over }, defaultOps)
  const range = { lo: -1, hi: 7 }
  const measured = plan.tensors.filter((t) => t.source.kind === 'calibrate').map((t) => [t.value, range] as const)
  return resolveParams(model, plan, { activations: new Map(measured) }, new Diagnostics())
}

describe('resolveParams', () => {
  it('cuts ranges at the bounds of a fused Clip, so that no code exceeds them in float32, movers behind or not', () => {
    const { scale, zeroPoint } = resolve({}).get('c') ?? { scale: [], zeroPoint: [] }
    expect(zeroPoint).toEqual([0])
    expect(Math.fround(255 * (scale[0] as number))).toBe(6)
  })

  it('keeps powers of two where bounds and biases ask for other scales', () => {
    const rule = { bits: 8, signed: true, symmetric: true, granularity: 'tensor', powerOfTwo: 'ceil' } as const
    const params = resolve({ activations: rule, weights: { ...rule, granularity: 'channel' } })
    const scales = [...params.values()].flatMap((p) => p.scale)
    expect(scales.filter((s) => s !== powerOfTwo(s, 'floor'))).toEqual([])
    // The bias of 1000 needs scale(x) · scale(w) ≥ 1000 / 2^31: the second weight scale was raised from about 2^-29.
    const [x, w] = [params.get('x')?.scale[0] as number, params.get('w')?.scale as number[]]
    expect(x * (w[1] as number) * 2 ** 31).toBeGreaterThanOrEqual(1000)
  })

  it('gives binary weights the mean magnitude of their channel (XNOR-Net, eq. 6)', () => {
    const weights = { bits: 1, signed: true, symmetric: true, granularity: 'channel' } as const
    const bits = { weights: [1, 8], activations: [8] }
    const params = resolve({
      weights,
      bits,
      defaultScheme: 'w8a8',
      ops: { Gemm: { mode: 'integer', weights: { bits: 1 } } },
    })
    expect(params.get('w')?.scale[0]).toBe(1)
  })
})
