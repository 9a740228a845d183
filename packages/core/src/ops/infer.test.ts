import { describe, expect, it } from 'vitest'
import {
  type Attribute,
  attribute,
  type Dim,
  Graph,
  GraphBuilder,
  type Node,
  type Shape,
  Tensor,
  tensorType,
  type Value,
} from '../ir/index.ts'
import type { DType } from '../util/index.ts'
import { DECLARED_FACTS, defaultOps, inferContext, inferNode, nodeLabel, readAttrs, versionAt } from './index.ts'

/** One node on inputs of these shapes (float32 unless a tensor is given), at an opset. */
function call(
  opType: string,
  inputs: readonly (Shape | Tensor | readonly [DType, Shape] | null)[],
  attrs: Record<string, Attribute> = {},
  { opset = 21, outputs = 1 } = {},
) {
  const b = new GraphBuilder(new Graph())
  const values = inputs.map((input, i): Value | null => {
    if (input === null) return null
    if (input instanceof Tensor) return b.constant(`c${i}`, input)
    const typed = typeof input[0] === 'string' && Array.isArray(input[1])
    const [dtype, shape] = (typed ? input : ['float32', input]) as [DType, Shape]
    return b.input(`x${i}`, tensorType(dtype, shape))
  })
  const node = b.ops(opType, values, attrs, { outputs })[0]?.producer as Node
  const def = defaultOps.of(node)
  if (!def) throw new Error(opType)
  const version = versionAt(def, opset) as number
  const scope = { facts: DECLARED_FACTS }
  const result = inferNode(def, node, version, scope)
  const shapes = result.types.map((t) => (t?.kind === 'tensor' ? t.shape : undefined))
  const cx = inferContext(def, node, version, scope)
  return { ...result, shapes, shape: shapes[0], macs: def.macs?.(cx, shapes), def, node, version }
}

const { int, ints, float, string } = attribute
const scalars = (...values: Dim[]): Tensor => Tensor.int64([values.length], values as number[])

describe('attributes', () => {
  it('apply the defaults of the version in force', () => {
    expect(readAttrs(...parts(call('Softmax', [[2, 3]], {}, { opset: 11 }))).axis).toBe(1)
    expect(readAttrs(...parts(call('Softmax', [[2, 3]], {}, { opset: 13 }))).axis).toBe(-1)
    expect(readAttrs(...parts(call('TopK', [[5]], { k: int(3) }, { opset: 9, outputs: 2 }))).k).toBe(3)
  })

  it('name node and attribute when one is missing or of the wrong kind', () => {
    expect(() => call('LRN', [[1, 2, 3, 4]])).toThrow(/LRN needs the attribute "size"[\s\S]*node LRN/)
    expect(() => call('Softmax', [[2, 3]], { axis: float(1) })).toThrow(/Softmax: attribute "axis"[\s\S]*node Softmax/)
  })
})

const parts = ({ def, node, version }: ReturnType<typeof call>) => [def, node, version] as const

describe('shapes of convolution-like operators', () => {
  it('keep a symbol where padding makes the size stay', () => {
    const same = { pads: ints([1, 1, 1, 1]) }
    expect(
      call(
        'Conv',
        [
          ['N', 3, 'H', 'W'],
          [8, 3, 3, 3],
        ],
        same,
      ).shape,
    ).toEqual(['N', 8, 'H', 'W'])
    expect(
      call(
        'Conv',
        [
          ['N', 3, 'H', 9],
          [8, 3, 3, 3],
        ],
        { ...same, strides: ints([2, 2]) },
      ).shape,
    ).toEqual(['N', 8, null, 5])
  })

  it('count multiply-accumulates by hand', () => {
    // 16·14·14 outputs of 4 input channels · 9 taps each.
    const grouped = call(
      'Conv',
      [
        [1, 8, 16, 16],
        [16, 4, 3, 3],
      ],
      { group: int(2) },
    )
    expect(grouped.macs).toBe(16 * 14 * 14 * 4 * 9)
    // Every one of 8·5·5 inputs meets 4 output channels · 4 taps.
    expect(
      call('ConvTranspose', [
        [1, 8, 5, 5],
        [8, 4, 2, 2],
      ]).macs,
    ).toBe(8 * 25 * 16)
    expect(
      call(
        'Gemm',
        [
          [7, 5],
          [11, 5],
        ],
        { transB: int(1) },
      ).macs,
    ).toBe(7 * 11 * 5)
    expect(
      call('MatMul', [
        [2, 3, 4],
        [4, 6],
      ]).macs,
    ).toBe(2 * 3 * 6 * 4)
    expect(
      call('Conv', [
        ['N', 3, 8, 8],
        [8, 3, 3, 3],
      ]).macs,
    ).toBeUndefined()
  })

  it('reject channels that do not fit, naming the node', () => {
    expect(() =>
      call('Conv', [
        [1, 4, 8, 8],
        [8, 3, 3, 3],
      ]),
    ).toThrow(/SHAPE_MISMATCH[\s\S]*4 channels[\s\S]*node Conv/)
    expect(() =>
      call('Conv', [
        [1, 3, 2, 2],
        [8, 3, 3, 3],
      ]),
    ).toThrow(/does not fit/)
    expect(() =>
      call('MatMul', [
        [2, 3],
        [4, 5],
      ]),
    ).toThrow(/inner dimensions 3 and 4/)
    expect(() => call('Add', [[2, 3], [2]])).toThrow(/3 and 2 do not broadcast/)
    expect(() => call('Softmax', [[2, 3]], { axis: int(2) })).toThrow(/axis 2 is outside rank 2/)
  })

  it('drop a pooling window that would start in the padding', () => {
    const attrs = { kernel_shape: ints([1]), strides: ints([2]), ceil_mode: int(1) }
    // Windows of one at 0, 2, 4; a fourth would start at 6, behind the input of 6.
    expect(call('MaxPool', [[1, 1, 6]], attrs).shape).toEqual([1, 1, 3])
  })
})

describe('shapes with open dimensions', () => {
  it('broadcast symbols', () => {
    expect(
      call('Add', [
        ['N', 1, 4],
        ['N', 5, 1],
      ]).shape,
    ).toEqual(['N', 5, 4])
    expect(
      call('Add', [
        ['N', 3],
        ['M', 3],
      ]).shape,
    ).toEqual([null, 3])
    expect(call('Add', [['N'], [7]]).shape).toEqual([7])
    expect(call('Where', [['bool', ['N', 1]], [1, 4], [4]]).shape).toEqual(['N', 4])
  })

  it('reduce by attribute and by input', () => {
    const attrs = { axes: ints([-1]), keepdims: int(0) }
    expect(call('ReduceMean', [['N', 3, 4]], attrs, { opset: 13 }).shape).toEqual(['N', 3])
    expect(call('ReduceMean', [['N', 3, 4], scalars(1)], {}, { opset: 18 }).shape).toEqual(['N', 1, 4])
    expect(
      call(
        'ReduceMean',
        [
          ['N', 3, 4],
          ['int64', [1]],
        ],
        { keepdims: int(0) },
      ).shape,
    ).toEqual([null, null])
    expect(call('ReduceSum', [['N', 3, 4]], { noop_with_empty_axes: int(1) }).shape).toEqual(['N', 3, 4])
  })

  it('say nothing of what they cannot know', () => {
    expect(call('Resize', [['N', 3, 'H', 'W'], null, ['float32', [4]]]).shape).toEqual([null, null, null, null])
    const scales = Tensor.float32([4], [1, 1, 2, 2])
    expect(call('Resize', [['N', 3, 8, 'W'], null, scales]).shape).toEqual(['N', 3, 16, null])
    expect(
      call(
        'Einsum',
        [
          ['B', 3, 4],
          ['B', 4, 5],
        ],
        { equation: string('bij,bjk->bik') },
      ).shape,
    ).toEqual(['B', 3, 5])
  })
})

describe('shape arithmetic', () => {
  it('follows the element type: integer division truncates, Round is half to even', () => {
    expect(call('Div', [scalars(7, -7), scalars(2)]).elements).toEqual([3, -3])
    expect(call('Div', [scalars(7), scalars(0)]).elements).toBeUndefined()
    expect(call('Round', [Tensor.float32([3], [0.5, 1.5, 2.5])]).elements).toEqual([0, 2, 2])
    expect(call('Mod', [scalars(-7), scalars(4)]).elements).toEqual([1])
    expect(call('Mul', [Tensor.float32([1], [0.1]), Tensor.float32([1], [3])]).elements).toEqual([
      Math.fround(Math.fround(0.1) * 3),
    ])
  })

  it('compares and clips', () => {
    expect(call('Equal', [scalars(1, 2), scalars(1)]).elements).toEqual([1, 0])
    expect(call('Clip', [scalars(-3, 9), null, Tensor.int64([], [5])]).elements).toEqual([-3, 5])
    expect(call('Max', [scalars(1, 7), scalars(4), scalars(3)]).elements).toEqual([4, 7])
  })
})

it('labels a nameless node by what it makes', () => {
  const { node } = call('Relu', [[1]])
  node.name = ''
  expect(nodeLabel(node)).toBe('Relu → Relu_output')
})
