import { nodeEngine } from '@fewbit/engine-node'
import { runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { parseModel, Tensor, verify } from '../ir/index.ts'
import { fixInputs } from './fix-inputs.ts'

const model =
  parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[2] x, int64[] rate, float[N] w) => (float[2] y) {
  f = Cast<to = 1>(rate) a = Mul(x, f) y = Add(a, w) }`)

describe('fixInputs', () => {
  it('computes what the network computes with these contents', async () => {
    const fixed = fixInputs(model, { rate: 3, w: Tensor.float32([2], [10, 20]) })
    expect(fixed.graph.inputs.map(({ name }) => name)).toEqual(['x'])
    expect(verify(fixed)).toEqual([])
    const { y } = await runModel(nodeEngine({ threads: 1 }), fixed, { x: Tensor.float32([2], [1, 2]) })
    expect([...(y as Tensor).numbers()]).toEqual([13, 26])
    expect(model.graph.inputs).toHaveLength(3)
    const each = fixInputs(model, { x: [4, 5] }).graph.initializers
    expect([...each].map(({ constant }) => [...(constant as Tensor).numbers()])).toEqual([[4, 5]])
  })

  it.each([
    [{ rat: 3 }, /no input "rat"[\s\S]*rate/],
    [{ w: 1 }, /open/],
    [{ x: [1, 2, 3] }, /2 elements, not 3/],
    [{ x: Tensor.int64([2], [1, 2]) }, /float32\[2\]/],
    [{ x: Tensor.float32([3], [1, 2, 3]) }, /float32\[2\]/],
  ])('refuses what does not fit', (values, text) => {
    expect(() => fixInputs(model, values as never)).toThrow(text)
  })
})
