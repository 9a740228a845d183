import { describe, expect, it } from 'vitest'
import { attribute, Graph, GraphBuilder, Model, Tensor, tensorType, type Value } from '../../../ir/index.ts'
import { type DType, rng } from '../../../util/index.ts'
import { sumBounds } from '../bounds.ts'
import { compileIntegers } from '../compile.ts'
import type { Kernels, Rows } from '../kernels/kernels.ts'
import { plainKernels } from '../kernels/plain.ts'
import { fastKernels } from '../kernels/wasm.ts'
import { IntegerSession } from '../run.ts'
import { SCHEMES } from '../schemes/index.ts'
import { wideDots } from './wide-sums.ts'

function rowsOf(kernels: Kernels, rows: readonly (readonly number[])[]): Rows {
  const made = kernels.rows(rows.length, rows[0]?.length ?? 0)
  for (const [i, row] of rows.entries()) made.data.set(row, i * made.stride)
  return made
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  Number(a.reduce((sum, x, k) => sum + BigInt(x) * BigInt(b[k] as number), 0n))

describe.each([plainKernels, fastKernels()])('sums wider than int32 ($name)', (kernels) => {
  it.each([
    [5, 256],
    [5, 65536],
    [40_000, 65536],
    [40_000, 256],
  ])('%i terms, weights of %i values', (terms, values) => {
    const r = rng(terms)
    const random = (n: number): number[] => Array.from({ length: terms }, () => r.int(n) - n / 2)
    const [a, b] = [
      [random(65536), random(65536)],
      [random(values), random(values), random(values)],
    ]
    // The farthest sums of all.
    a[0]?.fill(-32768)
    b[0]?.fill(-values / 2)
    const mark = kernels.mark()
    const sums = wideDots(rowsOf(kernels, a), rowsOf(kernels, b), kernels)
    kernels.release(mark)
    expect([...sums]).toEqual(a.flatMap((x) => b.map((y) => dot(x, y))))
  })
})

interface Wide {
  readonly type: DType
  readonly zero: number
  readonly dims: readonly number[]
}

/** One operator on codes of 16 bits in steps of 2^−10; the result in steps of `step`. */
function modelOf(x: Wide, step: number, operator: (b: GraphBuilder, x: Value) => Value): Model {
  const b = new GraphBuilder(new Graph('wide'))
  const parameters = (type: DType, scale: number, zero: number): Value[] => [
    b.constant('scale', Tensor.float32([], [scale])),
    b.constant('zero', Tensor.fromNumbers(type, [], [zero])),
  ]
  const input = b.input('x', tensorType(x.type, x.dims))
  const result = operator(b, b.op('DequantizeLinear', [input, ...parameters(x.type, 2 ** -10, x.zero)]))
  const y = b.op('QuantizeLinear', [result, ...parameters('int16', step, 0)])
  y.name = 'y'
  b.output(y)
  const model = new Model(b.graph)
  model.opsets.set('', 21)
  model.irVersion = 10
  return model
}

const weight = (b: GraphBuilder, dims: readonly number[], codes: readonly number[]): Value =>
  b.op('DequantizeLinear', [
    b.constant('w', Tensor.fromNumbers('int8', dims, codes)),
    b.constant('scale', Tensor.float32([], [2 ** -6])),
    b.constant('zero', Tensor.fromNumbers('int8', [], [0])),
  ])

/** x · 2^−shift, halves up, in the range of int16. */
const shifted = (x: number, shift: number): number =>
  Math.max(-32768, Math.min(32767, Math.floor(x / 2 ** shift + 0.5)))

describe('layers of 16-bit data', () => {
  const TERMS = 600
  const r = rng(4)
  const weights = Array.from({ length: 3 * TERMS }, (_, i) => (i < TERMS ? 127 : r.int(255) - 127))

  it.each([
    ['int16', 0],
    ['uint16', 1000],
  ] as const)('Gemm of %s where int32 would wrap', async (type, zero) => {
    const low = type === 'int16' ? -32768 : 0
    const codes = Array.from({ length: 2 * TERMS }, (_, i) => low + (i < TERMS ? 65535 : r.int(65536)))
    const model = modelOf({ type, zero, dims: [2, TERMS] }, 2, (b, x) =>
      b.op('Gemm', [x, weight(b, [3, TERMS], weights)], { transB: attribute.int(1) }),
    )
    const network = compileIntegers(model, SCHEMES.pot)
    expect(network.floats).toEqual([])
    expect(sumBounds(network)[0]?.headroomBits).toBeLessThan(0)
    const feeds = { x: Tensor.fromNumbers(type, [2, TERMS], codes) }
    const { outputs } = await (await IntegerSession.open(network, {})).run(feeds)
    const row = (values: readonly number[], i: number): number[] => values.slice(i * TERMS, (i + 1) * TERMS)
    const want = [0, 1].flatMap((i) =>
      [0, 1, 2].map((c) =>
        shifted(
          dot(
            row(codes, i).map((code) => code - zero),
            row(weights, c),
          ),
          17,
        ),
      ),
    )
    expect(want.some((code) => Math.abs(code) < 32767)).toBe(true)
    expect([...(outputs.y?.numbers() ?? [])]).toEqual(want)
  })

  it('Conv where int32 would wrap', async () => {
    const [channels, size] = [70, 4]
    const codes = Array.from({ length: channels * size * size }, (_, i) => (i % 16 ? 32767 : -32768 + r.int(999)))
    const kernel = Array.from({ length: channels * 9 }, () => r.int(40) + 88)
    const model = modelOf({ type: 'int16', zero: 0, dims: [1, channels, size, size] }, 1, (b, x) =>
      b.op('Conv', [x, weight(b, [1, channels, 3, 3], kernel)], { pads: attribute.ints([1, 0, 0, 1]) }),
    )
    const at = (c: number, y: number, x: number): number =>
      y < 0 || x < 0 || y >= size || x >= size ? 0 : (codes[(c * size + y) * size + x] as number)
    const sumAt = (y: number, x: number): number =>
      kernel.reduce((sum, w, k) => {
        const [c, i, j] = [Math.floor(k / 9), Math.floor((k % 9) / 3), k % 3]
        return sum + w * at(c, y - 1 + i, x + j)
      }, 0)
    const sums = Array.from({ length: 9 }, (_, p) => sumAt(Math.floor(p / 3), p % 3))
    expect(Math.max(...sums.map(Math.abs))).toBeGreaterThan(2 ** 31)
    const session = await IntegerSession.open(compileIntegers(model, SCHEMES.pot), {})
    const { outputs } = await session.run({ x: Tensor.fromNumbers('int16', [1, channels, size, size], codes) })
    expect([...(outputs.y?.numbers() ?? [])]).toEqual(sums.map((sum) => shifted(sum, 16)))
  })

  it('MatMul of two activations', async () => {
    const codes = Array.from({ length: 2 * 50 }, () => r.int(65536) - 32768)
    // y = x · xᵀ, whose diagonal leaves int32.
    const model = modelOf({ type: 'int16', zero: 0, dims: [2, 50] }, 4, (b, x) =>
      b.op('MatMul', [x, b.op('Transpose', [x])]),
    )
    const session = await IntegerSession.open(compileIntegers(model, SCHEMES.pot), {})
    const { outputs } = await session.run({ x: Tensor.fromNumbers('int16', [2, 50], codes) })
    const rows = [codes.slice(0, 50), codes.slice(50)]
    // The product of the scales is 2^−20.
    const want = rows.flatMap((a) => rows.map((z) => shifted(dot(a, z), 22)))
    expect(Math.max(...want)).toBeGreaterThan(2 ** 9)
    expect([...(outputs.y?.numbers() ?? [])]).toEqual(want)
  })
})
