import { nodeEngine } from '@fewbit/engine-node'
import { runFakeQuantizer, FAKE_QUANTIZER_VECTORS as VECTORS } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { Tensor } from '../ir/index.ts'
import { type QuantParams, type QuantSpec, quantSpec } from '../quant/index.ts'
import type { QuantizerContext } from './define.ts'
import { fixed } from './fixed.ts'
import { lsq } from './lsq.ts'
import { lsqPlus } from './lsq-plus.ts'

const engine = nodeEngine({ threads: 1 })
const x = Tensor.float32([16], VECTORS.x)
const dy = Tensor.float32([16], VECTORS.dy)

const SYMMETRIC = quantSpec({ bits: 4, signed: true, symmetric: true })
const AFFINE = quantSpec({ bits: 4, signed: false, symmetric: false })
const observed = (spec: QuantSpec, scale: number, zeroPoint = 0): QuantParams => ({
  spec,
  scale: [scale],
  zeroPoint: [zeroPoint],
})
const activation = (params: QuantParams): QuantizerContext => ({
  role: 'activation',
  spec: params.spec,
  params,
  shape: [16],
})
const close = (actual: readonly number[] | undefined, expected: readonly number[] | number) => {
  const wanted = typeof expected === 'number' ? [expected] : expected
  expect(actual?.length).toBe(wanted.length)
  for (const [i, e] of wanted.entries()) expect(actual?.[i], `element ${i}`).toBeCloseTo(e, 6)
}

describe('fixed', () => {
  it.each([
    ['symmetric', observed(SYMMETRIC, 0.25), VECTORS.fixedSymmetric],
    ['affine', observed(AFFINE, 0.25, 5), VECTORS.fixedAffine],
  ] as const)('does what MQBench does, %s', async (_, params, vectors) => {
    const run = await runFakeQuantizer(engine, fixed.init(activation(params), { mask: 'rounded' }), x, dy)
    close(run.y, vectors.y)
    close(run.gradients.x, vectors.dx)
    expect(Object.keys(run.gradients)).toEqual(['x'])
  })

  it('lets gradients through by the mask', async () => {
    // In steps of 0.25 around codes −8…7: 7.5 is a tie at the upper end that rounds to 8, −8.5 one at the lower end that rounds to −8.
    const values = Tensor.float32([6], [-2.2, -2.125, -2.05, 1.8, 1.875, 1.9])
    const ones = Tensor.float32([6], [1, 1, 1, 1, 1, 1])
    const passed = async (mask: 'rounded' | 'margin' | 'unrounded' | 'none') => {
      const call = fixed.init({ ...activation(observed(SYMMETRIC, 0.25)), shape: [6] }, { mask })
      return (await runFakeQuantizer(engine, call, values, ones)).gradients.x
    }
    expect(await passed('rounded')).toEqual([0, 1, 1, 1, 0, 0])
    expect(await passed('margin')).toEqual([0, 1, 1, 1, 1, 0])
    expect(await passed('unrounded')).toEqual([0, 0, 0, 0, 0, 0])
    expect(await passed('none')).toEqual([1, 1, 1, 1, 1, 1])
  })
})

describe('lsq', () => {
  it.each([
    ['symmetric', observed(SYMMETRIC, 0.25), VECTORS.lsqSymmetric],
    ['affine', observed(AFFINE, 0.25, 5), VECTORS.lsqAffine],
  ] as const)('does what MQBench does, %s', async (_, params, vectors) => {
    const options = { mask: 'rounded', gradientScale: 'elements', learnZeroPoint: true, scale: 'target' } as const
    const run = await runFakeQuantizer(engine, lsq.init(activation(params), options), x, dy)
    close(run.y, vectors.y)
    close(run.gradients.x, vectors.dx)
    close(run.gradients.scale, vectors.ds)
    // MQBench computes dz for symmetric specs as well, and throws it away.
    if (params.spec.symmetric) expect(run.gradients.zero_point).toBeUndefined()
    else close(run.gradients.zero_point, vectors.dz)
  })

  it('does what MegEngine does without a zero point: 7.1, and 1.6 passes', async () => {
    const options = { mask: 'unrounded', gradientScale: 'none', learnZeroPoint: false, scale: 'target' } as const
    const run = await runFakeQuantizer(engine, lsq.init(activation(observed(SYMMETRIC, 0.25)), options), x, dy)
    close(run.gradients.scale, 7.1)
    close(run.gradients.x, VECTORS.lsqSymmetric.dx)
  })

  it('clips with zero point 1 where MegEngine does, and takes the zero point off the clipped gradient, as the formula says', async () => {
    const options = { mask: 'unrounded', gradientScale: 'none', learnZeroPoint: false, scale: 'target' } as const
    const spec = quantSpec({ bits: 4, signed: true, symmetric: false })
    const run = await runFakeQuantizer(engine, lsq.init(activation(observed(spec, 0.25, 1)), options), x, dy)
    expect([run.y[0], run.y[14], run.y[15]]).toEqual([-2.25, 1.5, 1.5])
    expect(run.gradients.x?.[14]).toBe(0)
    // MegEngine gives 14.5; its clipped elements, with gradients 0.5, 1 and 1.5, count qmin and qmax in place of qmin − 1 and qmax − 1.
    close(run.gradients.scale, 14.5 - (0.5 + 1 + 1.5))
  })

  it('divides by the root of the elements and the highest code', async () => {
    const half = (t: Tensor) => Tensor.float32([2, 8], t.numbers())
    const scaleGradient = async (
      gradientScale: 'features' | 'elements' | 'tensor' | 'none',
      role: 'weight' | 'activation',
    ) => {
      const params: QuantParams = {
        spec: { ...SYMMETRIC, granularity: { kind: 'channel', axis: 0 } },
        scale: [0.25, 0.5],
        zeroPoint: [0, 0],
      }
      const cx = { role, spec: params.spec, params, shape: [2, 8] }
      const call = lsq.init(cx, { mask: 'rounded', gradientScale, learnZeroPoint: false, scale: 'target' })
      return (await runFakeQuantizer(engine, call, half(x), half(dy))).gradients.scale ?? []
    }
    const plain = await scaleGradient('none', 'weight')
    expect(plain).toHaveLength(2)
    const divided = (n: number) => plain.map((v) => v / Math.sqrt(n * 7))
    close(await scaleGradient('features', 'weight'), divided(8))
    close(await scaleGradient('elements', 'activation'), divided(8))
    close(await scaleGradient('tensor', 'weight'), divided(16))
    close(await scaleGradient('features', 'activation'), divided(4))
  })

  it('takes the size of a scale that training made negative, and its gradient the other way', async () => {
    const options = { mask: 'rounded', gradientScale: 'elements', learnZeroPoint: false, scale: 'target' } as const
    const call = lsq.init(activation(observed(SYMMETRIC, 0.25)), options)
    const inputs = call.inputs.map((input) =>
      input.name === 'scale' ? { ...input, initial: Tensor.float32([], [-0.25]) } : input,
    )
    const run = await runFakeQuantizer(engine, { ...call, inputs }, x, dy)
    close(run.y, VECTORS.lsqSymmetric.y)
    close(run.gradients.scale, -VECTORS.lsqSymmetric.ds)
    expect(
      lsq.toParams(SYMMETRIC, { scale: Tensor.float32([], [-0.25]), zero_point: Tensor.float32([], [0]) }, options)
        .scale,
    ).toEqual([0.25])
  })
})

describe('lsq-plus', () => {
  it('learns the zero point of specs that have one, and deploys it as a code', async () => {
    const options = { mask: 'rounded', gradientScale: 'elements', learnZeroPoint: true, scale: 'target' } as const
    const names = (spec: QuantSpec) =>
      lsqPlus.init(activation(observed(spec, 0.25)), options).inputs.filter((i) => i.trained)
    expect(names(AFFINE).map((i) => i.name)).toEqual(['scale', 'zero_point'])
    expect(names(SYMMETRIC).map((i) => i.name)).toEqual(['scale'])
    const state = (z: number) => ({ scale: Tensor.float32([], [0.25]), zero_point: Tensor.float32([], [z]) })
    const zeroPoints = [4.6, 2.5, -3, 99].map((z) => lsqPlus.toParams(AFFINE, state(z), options).zeroPoint[0])
    expect(zeroPoints).toEqual([5, 2, 0, 15])
  })

  it('is the paper’s rule, element by element', async () => {
    const options = { mask: 'unrounded', gradientScale: 'none', learnZeroPoint: true, scale: 'target' } as const
    const call = lsqPlus.init(activation(observed(AFFINE, 0.3, 4)), options)
    const run = await runFakeQuantizer(engine, call, x, dy)
    const [s, z] = [Math.fround(0.3), 4]
    let [ds, dz] = [0, 0]
    VECTORS.x.forEach((value, i) => {
      const g = VECTORS.dy[i] as number
      const v = value / s + z
      if (v < 0 || v > 15) {
        ds += g * ((v < 0 ? 0 : 15) - z)
        dz -= g * s
      } else ds += g * (Math.round(v) - v)
      // Products with a mask of zeros may be −0.
      expect((run.gradients.x?.[i] ?? Number.NaN) + 0).toBe(v < 0 || v > 15 ? 0 : g)
    })
    close(run.gradients.scale, ds)
    close(run.gradients.zero_point, dz)
  })
})
