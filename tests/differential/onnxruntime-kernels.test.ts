import { attribute, Tensor, type Value } from '@fewbit/core/ir'
import type { PlannerOptions } from '@fewbit/core/quant'
import { describe, expect, it } from 'vitest'
import { maxDifference, quantizeSmall, SmallNet, same } from './quantize-small.ts'

const ints = attribute.ints
const S = [1, 4, 8, 8] as const

interface Case {
  name: string
  build: (net: SmallNet) => Value | Record<string, Value>
  /** All integer kernels of the graph that ONNX Runtime makes of it. */
  kernels: string[]
  options?: PlannerOptions
}

const conv = (net: SmallNet, x: Value, name: string, inputs = 4, outputs = 4): Value =>
  net.conv(x, name, [outputs, inputs, 3, 3], same)
const convRelu = (net: SmallNet, x: Value, name: string): Value => net.op('Relu', [conv(net, x, name)])

/** Wraps an operator between two convolutions, where it is worth an integer kernel. */
const between = (middle: (net: SmallNet, x: Value) => Value) => (net: SmallNet) =>
  conv(net, middle(net, conv(net, net.input('x', S), 'before')), 'after')

const TWO_CONVS = ['QLinearConv', 'QLinearConv']

const CASES: Case[] = [
  { name: 'Conv', build: (n) => conv(n, n.input('x', S), 'c'), kernels: ['QLinearConv'] },
  { name: 'Conv + Relu', build: (n) => convRelu(n, n.input('x', S), 'c'), kernels: ['QLinearConv'] },
  {
    name: 'Conv + Clip',
    build: (n) => n.op('Clip', [conv(n, n.input('x', S), 'c'), n.scalar('lo', 0), n.scalar('hi', 2)]),
    kernels: ['QLinearConv'],
  },
  {
    name: 'Conv + Clip without a floor',
    build: (n) => n.op('Clip', [conv(n, n.input('x', S), 'c'), null, n.scalar('hi', 2)]),
    kernels: ['QLinearConv'],
  },
  {
    name: 'grouped Conv',
    build: (n) => n.conv(n.input('x', S), 'c', [4, 1, 3, 3], { ...same, group: attribute.int(4) }),
    kernels: ['QLinearConv'],
  },
  {
    name: 'Conv with signed activations',
    build: (n) => conv(n, convRelu(n, n.input('x', S), 'a'), 'b'),
    kernels: TWO_CONVS,
    options: { activations: 'signed' },
  },
  {
    name: 'Conv that is an output and read further',
    build: (n) => {
      const a = conv(n, n.input('x', S), 'a')
      return { y: a, z: conv(n, a, 'b') }
    },
    kernels: TWO_CONVS,
  },
  {
    name: 'Gemm to float',
    build: (n) => n.op('Gemm', [n.input('x', [3, 8]), n.weight('w', [8, 5]), n.weight('b', [5])]),
    kernels: ['QGemm'],
  },
  {
    name: 'Gemm + Relu + transposed Gemm',
    build: (n) => {
      const hidden = n.op('Gemm', [n.input('x', [3, 8]), n.weight('w', [8, 5]), n.weight('b', [5])])
      const t = { transB: attribute.int(1) }
      return n.op('Gemm', [n.op('Relu', [hidden]), n.weight('v', [7, 5]), n.weight('c', [1, 7])], t)
    },
    kernels: ['QGemm', 'QGemm'],
  },
  {
    name: 'MatMul chain to float',
    build: (n) =>
      n.op('MatMul', [n.op('MatMul', [n.input('x', [2, 3, 8]), n.weight('w', [8, 5])]), n.weight('v', [5, 6])]),
    kernels: ['MatMulIntegerToFloat', 'QLinearMatMul'],
  },
  {
    name: 'MatMul with a weight of three axes',
    build: (n) => n.op('MatMul', [n.input('x', [2, 3, 8]), n.weight('w', [2, 8, 5])]),
    kernels: ['MatMulIntegerToFloat'],
  },
  {
    name: 'MatMul of two activations',
    build: (n) => n.op('MatMul', [n.input('x', [2, 3, 8]), n.input('z', [2, 8, 5])]),
    kernels: ['MatMulIntegerToFloat'],
  },
  {
    name: 'residual Add + Relu',
    build: (n) => {
      const a = convRelu(n, n.input('x', S), 'a')
      return conv(n, n.op('Relu', [n.op('Add', [conv(n, a, 'b'), a])]), 'c')
    },
    kernels: ['QLinearAdd', ...TWO_CONVS, 'QLinearConv'],
  },
  {
    name: 'Add of a constant',
    build: between((n, x) => n.op('Add', [x, n.weight('k', [4, 1, 1])])),
    kernels: ['QLinearAdd', ...TWO_CONVS],
  },
  {
    name: 'Sigmoid gate',
    build: between((n, x) => n.op('Mul', [x, n.op('Sigmoid', [x])])),
    kernels: [...TWO_CONVS, 'QLinearMul', 'QLinearSigmoid'],
  },
  { name: 'LeakyRelu', build: between((n, x) => n.op('LeakyRelu', [x])), kernels: [...TWO_CONVS, 'QLinearLeakyRelu'] },
  {
    name: 'AveragePool',
    build: between((n, x) => n.op('AveragePool', [x], { kernel_shape: ints([2, 2]) })),
    kernels: ['QLinearAveragePool', ...TWO_CONVS],
  },
  {
    name: 'GlobalAveragePool, Flatten and Gemm',
    build: (n) => {
      const pooled = n.op('GlobalAveragePool', [convRelu(n, n.input('x', S), 'c')])
      return n.op('Gemm', [n.op('Flatten', [pooled]), n.weight('w', [4, 3]), n.weight('b', [3])])
    },
    kernels: ['QGemm', 'QLinearConv', 'QLinearGlobalAveragePool'],
  },
  {
    name: 'Concat of branches',
    build: (n) => {
      const a = convRelu(n, n.input('x', S), 'a')
      const joined = n.op('Concat', [convRelu(n, a, 'b'), convRelu(n, a, 'c')], { axis: attribute.int(1) })
      return conv(n, joined, 'd', 8)
    },
    kernels: ['QLinearConcat', ...TWO_CONVS, ...TWO_CONVS],
  },
  {
    name: 'Concat of bounded and unbounded branches',
    build: (n) => {
      const x = n.input('x', S)
      return conv(n, n.op('Concat', [convRelu(n, x, 'a'), conv(n, x, 'b')], { axis: attribute.int(1) }), 'c', 8)
    },
    kernels: ['QLinearConcat', ...TWO_CONVS, 'QLinearConv'],
  },
  {
    name: 'MaxPool',
    build: between((n, x) => n.op('MaxPool', [n.op('Relu', [x])], { kernel_shape: ints([2, 2]) })),
    kernels: TWO_CONVS,
  },
  {
    name: 'Reshape and Transpose',
    build: between((n, x) =>
      n.op('Transpose', [n.op('Reshape', [x, n.ints('s', [1, 4, 16, 4])])], { perm: ints([0, 1, 3, 2]) }),
    ),
    kernels: TWO_CONVS,
  },
  {
    name: 'Split',
    build: (n) => {
      const [a, b] = n.builder.ops(
        'Split',
        [convRelu(n, n.input('x', S), 'c'), n.ints('s', [2, 2])],
        { axis: attribute.int(1) },
        { outputs: 2 },
      )
      return { y: conv(n, a as Value, 'd', 2), z: n.op('Exp', [b as Value]) }
    },
    kernels: TWO_CONVS,
  },
  {
    name: 'Resize nearest',
    build: between((n, x) => n.op('Resize', [x, null, n.builder.constant('s', Tensor.float32([4], [1, 1, 2, 2]))])),
    kernels: TWO_CONVS,
  },
]

/** Float kernels of what has an integer one, and whatever a fusion was to absorb. */
const FLOAT_KERNELS =
  /^(Conv|FusedConv|Gemm|FusedGemm|MatMul|FusedMatMul|Add|Mul|Sigmoid|LeakyRelu|AveragePool|GlobalAveragePool|Concat|Relu|Clip)$/

describe.each(CASES)('ONNX Runtime runs $name in integers', ({ build, kernels, options }) => {
  it('fuses every planned node, and the codes equal the simulation', async () => {
    const net = new SmallNet()
    const built = build(net)
    const outputs = 'producer' in built ? { y: built as Value } : (built as Record<string, Value>)
    const result = await quantizeSmall(net.model(outputs), options)
    const known = result.optimizedOps.filter((op) => /^(QLinear|QGemm|MatMulInteger)/.test(op))
    expect(known).toEqual([...kernels].sort())
    expect(result.optimizedOps.filter((op) => FLOAT_KERNELS.test(op))).toEqual([])
    // The form with integer operators names the kernels that ONNX Runtime chose, and they do the same.
    expect(result.operators.ops.filter((op) => /^(QLinear|QGemm|MatMulInteger)/.test(op))).toEqual([...kernels].sort())
    expect(result.operators.ops.filter((op) => FLOAT_KERNELS.test(op))).toEqual([])
    for (const name of Object.keys(outputs)) {
      const spread = reach(result.float[name])
      expect(maxDifference(result.operators.outputs[name], result.integer[name])).toBe(0)
      // A code's rounding may fall the other way in a float simulation, and a later layer may carry it on: 2 % of the range.
      expect(maxDifference(result.integer[name], result.simulated[name])).toBeLessThanOrEqual(0.02 * spread)
      // 8 bits on three layers of random weights: a wrong axis, scale or bias misses by whole units of the range.
      expect(maxDifference(result.integer[name], result.float[name])).toBeLessThanOrEqual(0.06 * spread)
    }
  })
})

/** Layers between quantizers whose weights are uneven enough that one int8 scale for all of them shows. */
const HELD: { name: string; build: (net: SmallNet, x: Value) => Value; left: RegExp }[] = [
  { name: 'Conv', build: (n, x) => n.conv(x, 'held', [4, 4, 3, 3], same), left: /^(Fused)?Conv$/ },
  {
    name: 'Conv + Relu behind MaxPool',
    build: (n, x) => {
      const pooled = n.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) })
      return n.op('Relu', [n.conv(pooled, 'held', [4, 4, 3, 3], same)])
    },
    left: /^(Fused)?Conv$/,
  },
  {
    name: 'ConvTranspose',
    build: (n, x) =>
      n.builder.op('ConvTranspose', [x, n.weight('wt', [4, 4, 3, 3])], { pads: ints([1, 1, 1, 1]) }, { name: 'held' }),
    left: /^ConvTranspose$/,
  },
]

describe.each(HELD)('ONNX Runtime leaves $name in float where the plan does', ({ build, left }) => {
  it('and its weights as they are', async () => {
    const net = new SmallNet()
    const y = conv(net, build(net, conv(net, net.input('x', S), 'before')), 'after')
    const result = await quantizeSmall(net.model({ y }), { floatNodes: ['held'] })
    expect(result.optimizedOps.filter((op) => left.test(op))).toHaveLength(1)
    expect(result.optimizedOps.filter((op) => op.startsWith('QLinear'))).toEqual(TWO_CONVS)
    // No code lies near a tie here, and rounded weights would move some.
    expect(maxDifference(result.integer.y, result.simulated.y)).toBeLessThan(1e-5)
  })
})

const reach = (tensor: Tensor | undefined): number => {
  const data = Array.from(tensor?.numbers() ?? [])
  return Math.max(...data) - Math.min(...data)
}
