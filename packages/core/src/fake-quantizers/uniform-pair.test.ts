// Grids as QuantizeLinear and DequantizeLinear, against the function bodies that are saved.
import { nodeEngine } from '@fewbit/engine-node'
import { expect, it } from 'vitest'
import { addFunctionBodies } from '../engine/index.ts'
import { cloneModel, type Model, parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { lowerNodes } from '../passes/index.ts'
import { rng } from '../util/index.ts'
import { qatOps } from './index.ts'

const engine = nodeEngine({ threads: 1 })
const ops = qatOps(defaultOps)
const COUNT = 4096

const network = (type: string, least: number, most: number, zero: number, scale = 'float32[] s') =>
  parseModel(`<ir_version = 9, opset_import = ["": 20, "fewbit.qat": 1]> main (float32[${COUNT}] x, ${scale}) => (y)
    <float32[] z = {${zero}}> {
      h = fewbit.qat::${type}<quant_min = ${least}.0, quant_max = ${most}.0>(x, s, z) y = Neg(h) }`)

/** But for the sign of zeros, which codes do not have. */
async function run(model: Model, scale: Tensor): Promise<number[]> {
  const random = rng(9)
  const s = Number(scale.numbers()[0])
  // Every other value is a tie, or a bound.
  const x = Float32Array.from({ length: COUNT }, (_, i) => s * (i % 2 ? random.normal() * 20 : (i >> 1) / 2 - 300))
  const session = await engine.load(model, { optimization: 'simulate' })
  const { y } = await session.run({ x: Tensor.float32([COUNT], x), s: scale }).finally(() => session.release())
  return Array.from(y?.numbers() ?? [], (v) => Number(v) + 0)
}

it.each([
  ['whole bytes', 0, 255, 13],
  ['signed bytes', -128, 127, 0],
  ['narrow signed bytes', -127, 127, 0],
  ['four bits', 0, 15, 3],
  ['signed four bits', -8, 7, 0],
])('%s are the same to the last bit', async (_, least, most, zero) => {
  for (const scale of [0.3, -0.0173, 1e-3, 7]) {
    const [kept, lowered] = [0, 1].map(() => network('FakeQuantize', least, most, zero)) as [Model, Model]
    addFunctionBodies(kept, ops)
    expect(lowerNodes(lowered, ops)).toBe(1)
    const s = Tensor.float32([], [scale])
    expect(await run(lowered, s)).toEqual(await run(kept, s))
  }
})

it('leaves alone what a pair cannot do', () => {
  const wide = network('FakeQuantize', 0, 1023, 0)
  const perChannel = network('FakeQuantize', -8, 7, 0, `float32[${COUNT}] s`)
  const otherwise = network('FakeQuantizeHalfAway', -8, 7, 0)
  for (const model of [wide, perChannel, otherwise]) expect(lowerNodes(cloneModel(model), ops)).toBe(0)
})
