import { describe, expect, it } from 'vitest'
import { parseModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { modelSize } from './size.ts'

/** Size of a graph in text form, types inferred. */
function sizeOf(text: string) {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> ${text}`)
  inferShapes(model, { ops: defaultOps })
  return modelSize(model, defaultOps)
}

const macsOf = (text: string): number => sizeOf(text).macs

describe('multiply-accumulates, counted by hand', () => {
  it.each([
    // 16·16 positions (18 − 3 + 1), 8 filters of 3·3·3.
    [
      'Conv',
      'm (float32[1,3,18,18] x, float32[8,3,3,3] w) => (float32[1,8,16,16] y) { y = Conv(x, w) }',
      16 * 16 * 8 * 27,
    ],
    // Stride 2: 8·8 positions; each of 8 filters sees 4/2 = 2 channels.
    [
      'a grouped Conv',
      `m (float32[1,4,16,16] x, float32[8,2,3,3] w) => (float32[1,8,8,8] y) {
        y = Conv<group = 2, pads = [1, 1, 1, 1], strides = [2, 2]>(x, w) }`,
      8 * 8 * 8 * 2 * 9,
    ],
    [
      'a depthwise Conv',
      'm (float32[1,6,4,4] x, float32[6,1,3,3] w) => (float32[1,6,2,2] y) { y = Conv<group = 6>(x, w) }',
      2 * 2 * 6 * 9,
    ],
    // Each of 4·4 inputs of 3 channels is spread over 2 outputs by a 2·2 filter.
    [
      'ConvTranspose',
      'm (float32[1,3,4,4] x, float32[3,2,2,2] w) => (float32[1,2,8,8] y) { y = ConvTranspose<strides = [2, 2]>(x, w) }',
      4 * 4 * 3 * 2 * 4,
    ],
    ['Gemm', 'm (float32[2,5] x, float32[5,7] w) => (float32[2,7] y) { y = Gemm(x, w) }', 2 * 5 * 7],
    [
      'Gemm with both operands transposed',
      'm (float32[5,2] x, float32[7,5] w) => (float32[2,7] y) { y = Gemm<transA = 1, transB = 1>(x, w) }',
      2 * 5 * 7,
    ],
    // Three heads of (4×6)·(6×5), the second operand shared by all.
    [
      'a batched MatMul',
      'm (float32[2,3,4,6] x, float32[6,5] w) => (float32[2,3,4,5] y) { y = MatMul(x, w) }',
      6 * 4 * 6 * 5,
    ],
    ['MatMul of vectors', 'm (float32[6] x, float32[6] w) => (float32[] y) { y = MatMul(x, w) }', 6],
    // An open batch counts as one sample.
    ['an open batch', 'm (float32[N,5] x, float32[5,7] w) => (float32[N,7] y) { y = Gemm(x, w) }', 5 * 7],
    ['operators without products', 'm (float32[2,5] x) => (float32[2,5] y) { r = Relu(x) y = Mul(r, r) }', 0],
  ])('%s', (_what, text, expected) => {
    expect(macsOf(text)).toBe(expected)
  })

  it('names the nodes whose sizes are open and counts the others', () => {
    const found = sizeOf(`m (float32[N,3,H,W] x, float32[8,3,1,1] w, float32[1,4] z, float32[4,2] v)
      => (float32[N,8,H,W] y, float32[1,2] u) { [open] y = Conv(x, w) [closed] u = MatMul(z, v) }`)
    expect(found).toMatchObject({ macs: 8, macsUnknown: ['open'] })
  })

  it('counts products in nested graphs too', () => {
    const found = sizeOf(`m (bool c, float32[1,4] x) => (float32[1,2] y)
      <float32[4,2] v = {1, 2, 3, 4, 5, 6, 7, 8}> {
      y = If<then_branch = graph t () => (float32[1,2] a) { a = MatMul(x, v) },
             else_branch = graph e () => (float32[1,2] b) { b = MatMul(x, v) }>(c) }`)
    expect(found.macs).toBe(16)
  })
})

describe('size of constants', () => {
  it('counts elements of weights, and bytes of everything', () => {
    const found = sizeOf(`m (float32[1,4] x) => (float32[1,2] y)
      <float32[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float32[] one = {1}, int64[2] target = {1, 2}, int8[3] codes = {1, 2, 3}> {
      p = MatMul(x, w) s = Mul(p, one) y = Reshape(s, target) }`)
    // Parameters: 8 weights and 3 codes; scalars and shapes are none. Bytes: 8·4 + 4 + 2·8 + 3.
    expect(found).toMatchObject({ parameters: 11, constantBytes: 55 })
  })
})
