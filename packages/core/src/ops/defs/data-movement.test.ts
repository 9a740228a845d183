import { describe, expect, it } from 'vitest'
import { attribute, GraphBuilder, Model, type Shape, Tensor, tensorType, type Value } from '../../ir/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { Diagnostics } from '../../util/index.ts'
import { DEFAULT_OPS } from './index.ts'

const { int, ints } = attribute

/** Infers y = build(x) for x of a symbolic shape. */
function infer(dims: Shape, build: (b: GraphBuilder, x: Value) => Value, opset = 17) {
  const model = new Model()
  model.opsets.set('', opset)
  const b = new GraphBuilder(model.graph)
  const y = build(b, b.input('x', tensorType('float32', dims)))
  const diagnostics = new Diagnostics()
  inferShapes(model, { ops: DEFAULT_OPS, diagnostics })
  return {
    shape: y.type?.kind === 'tensor' ? y.type.shape : undefined,
    warnings: diagnostics.list.map((d) => d.message),
  }
}

const list = (b: GraphBuilder, values: readonly number[]) => b.constant('k', Tensor.int64([values.length], values))
const reshape = (values: readonly number[]) => (b: GraphBuilder, x: Value) => b.op('Reshape', [x, list(b, values)])

describe('symbolic shapes, worked by hand', () => {
  it.each<[string, Shape, readonly number[], Shape]>([
    ['cancels equal symbols', ['N', 3, 4], [0, -1], ['N', 12]],
    ['keeps a symbol in the -1', ['N', 2, 8], [-1, 16], ['N', 16]],
    ['leaves products of symbols open', ['N', 'T', 8], [-1, 8], [null, 8]],
    ['copies unknown dimensions', [null, 6], [0, 2, 3], [null, 2, 3]],
  ])('Reshape %s', (_, dims, target, expected) => {
    const { shape } = infer(dims, reshape(target))
    expect(shape).toEqual(expected)
  })

  it('Reshape to an impossible shape is a contradiction', () => {
    expect(infer([2, 3], reshape([4, -1])).warnings.join()).toMatch(/cannot be divided/)
  })

  it("follows an exporter's x.view(x.size(0), -1)", () => {
    const { shape } = infer(['N', 4, 5, 5], (b, x) => {
      const batch = b.op('Gather', [b.op('Shape', [x]), b.constant('zero', Tensor.int64([], [0]))])
      const parts = [b.op('Unsqueeze', [batch, list(b, [0])]), list(b, [-1])]
      return b.op('Reshape', [x, b.op('Concat', parts, { axis: int(0) })])
    })
    expect(shape).toEqual(['N', 100])
  })

  it.each<[number, number, number, Shape[number]]>([
    [0, 2 ** 40, 1, 'T'],
    [1, 2 ** 40, 1, null],
  ])('Slice %d:%d:%d of a symbol', (start, end, step, expected) => {
    const bounds = [[start], [end], [1], [step]] as const
    expect(infer([2, 'T'], (b, x) => b.op('Slice', [x, ...bounds.map((k) => list(b, k))])).shape).toEqual([2, expected])
  })

  it('Slice backwards, as numpy counts', () => {
    const bounds = [[-1], [-(2 ** 40)], [0], [-2]] as const
    expect(infer([7], (b, x) => b.op('Slice', [x, ...bounds.map((k) => list(b, k))])).shape).toEqual([4])
  })

  it('Concat adds numbers and unifies the rest', () => {
    const { shape } = infer(['N', 2, null], (b, x) => {
      return b.op('Concat', [x, b.constant('c', Tensor.float32([1, 3, 4], new Float32Array(12)))], { axis: int(1) })
    })
    expect(shape).toEqual([1, 5, 4])
  })

  it('Squeeze reads its axes where the version has them', () => {
    expect(infer([1, 'N', 1], (b, x) => b.op('Squeeze', [x], { axes: ints([0]) }), 12).shape).toEqual(['N', 1])
    expect(infer([1, 'N', 1], (b, x) => b.op('Squeeze', [x, list(b, [0])])).shape).toEqual(['N', 1])
  })

  it('Expand broadcasts both ways', () => {
    const { shape } = infer([1, 4], (b, x) => b.op('Expand', [x, list(b, [3, 1])]))
    expect(shape).toEqual([3, 4])
  })
})
