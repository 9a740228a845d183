import { nodeEngine } from '@fewbit/engine-node'
import { normalData } from '@fewbit/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Feeds, probeModel } from '../../engine/index.ts'
import { parseModel } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { normStatistics } from '../norm-statistics.ts'
import { propagateMoments, type ValueMoments } from './index.ts'

const engine = nodeEngine({ threads: 1 })

/** BatchNormalization of what is normal already, and what may stand behind it. */
const model = parseModel(`<ir_version = 8, opset_import = ["": 17]>
  main (float32[N,3,16,16] x) => (float32[N,6,16,16] joined) <
    float32[3] gamma = {0.5, -2, 1}, float32[3] beta = {0.3, -1, 2}, float32[3] mean = {0, 0, 0}, float32[3] var = {1, 1, 1},
    float32[] zero = {0}, float32[] six = {1.5}, float32[1,3,1,1] k = {1, 2, -3}, float32[2,3,1,1] w = {1, -2, 0.5, 0, 1, 1},
    float32[2,3,1,1] wl = {1, 1, 0, 0, 1, 1}, float32[2] b = {0.25, -1}> {
    n = BatchNormalization<epsilon = 0.0>(x, gamma, beta, mean, var)
    relu = Relu(n) clip = Clip(n, zero, six) leaky = LeakyRelu<alpha = 0.1>(n) swish = HardSwish(n) sigmoid = Sigmoid(n)
    scaled = Mul(n, k) added = Add(k, relu) soft = Softplus(scaled)
    conv = Conv(relu, w, b) pooled = MaxPool<kernel_shape = [2, 2]>(relu) global = GlobalAveragePool(relu) flat = Flatten(global)
    nhwc = Transpose<perm = [0, 2, 3, 1]>(relu) lone = Conv(x, wl, b) joined = Concat<axis = 1>(relu, clip) }`)
inferShapes(model, { ops: defaultOps })

describe('moments of values without data', () => {
  let found: Map<string, ValueMoments>
  let measured: Feeds

  beforeAll(async () => {
    found = await propagateMoments(model, { ops: defaultOps, engine, norms: normStatistics(model) })
    const session = await engine.load(
      probeModel(
        model,
        [...found.keys()].filter((name) => name !== 'joined'),
      ),
    )
    measured = await session.run(normalData({ x: [64, 3, 16, 16] }, 1)[0] ?? {})
    await session.release()
  })

  /** Mean and deviation of a channel over the 16,384 positions of the samples. */
  function sampled(name: string, axis: number, channel: number) {
    const tensor = measured[name]!
    const inner = tensor.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
    const values = Array.from(tensor.numbers()).filter((_, i) => Math.floor(i / inner) % tensor.dims[axis]! === channel)
    const mean = values.reduce((s, v) => s + v, 0) / values.length
    return { mean, std: Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length), values }
  }

  it.each(['n', 'relu', 'clip', 'leaky', 'swish', 'sigmoid', 'scaled', 'added', 'soft', 'conv', 'nhwc', 'joined'])(
    'are those of sampled values: %s',
    (name) => {
      const moments = found.get(name)!
      expect(moments.mean.length).toBe(measured[name]!.dims[moments.axis])
      for (const [c, mean] of moments.mean.entries()) {
        const { mean: m, std, values } = sampled(name, moments.axis, c)
        // The mean of 16,384 values errs by σ/128, of which four; deviations of heavier tails by a little more.
        expect(Math.abs(m - mean)).toBeLessThan((4 * std) / 128 + 1e-6)
        expect(Math.abs(std - moments.std[c]!)).toBeLessThan(std * 0.04 + 1e-6)
        // Six deviations of a normal are beyond any sample; a sum of few skewed inputs may pass them, seldom.
        const inside = values.filter((v) => v >= moments.lo[c]! - 1e-5 && v <= moments.hi[c]! + 1e-5).length
        expect(inside / values.length).toBeGreaterThan(name === 'conv' ? 0.999 : 0.999999)
      }
    },
  )

  it('keep means behind averages, and bounds behind maxima', () => {
    expect(found.get('flat')!.mean).toEqual(found.get('relu')!.mean)
    expect(found.get('pooled')).toMatchObject({ hi: found.get('relu')!.hi, origin: 'derived' })
  })

  it('are derived behind a layer without BatchNormalization, and not there behind one that reads the input', () => {
    expect([found.get('relu')!.origin, found.get('conv')!.origin]).toEqual(['norm', 'derived'])
    expect(found.has('lone')).toBe(false)
  })
})
