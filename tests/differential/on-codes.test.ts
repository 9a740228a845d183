import { onCodes } from '@fewbit/core/integer'
import { attribute, serializeModel, type Value } from '@fewbit/core/ir'
import { describe, expect, it } from 'vitest'
import { maxDifference, quantizeSmall, run, SmallNet, same } from './quantize-small.ts'

const S = [1, 4, 16, 16] as const

const conv = (n: SmallNet, x: Value, name: string): Value => n.conv(x, name, [4, 4, 3, 3], same)
const relu = (n: SmallNet, x: Value): Value => n.op('Relu', [x])
const clip = (n: SmallNet, x: Value): Value => n.op('Clip', [x, n.scalar('lo', 0), n.scalar('hi', 1.5)])

const NETS: Record<string, (n: SmallNet) => Value> = {
  'five Conv + Relu': (n) => ['a', 'b', 'c', 'd', 'e'].reduce((x, name) => relu(n, conv(n, x, name)), n.input('x', S)),
  'Conv + Clip': (n) => conv(n, clip(n, conv(n, n.input('x', S), 'a')), 'b'),
  'depthwise Conv with stride and uneven padding': (n) =>
    n.conv(n.input('x', S), 'a', [4, 1, 3, 3], {
      pads: attribute.ints([0, 0, 1, 1]),
      strides: attribute.ints([2, 2]),
      group: attribute.int(4),
    }),
  'residual Add': (n) => {
    const x = relu(n, conv(n, n.input('x', S), 'a'))
    return conv(n, relu(n, n.op('Add', [conv(n, x, 'b'), x])), 'c')
  },
  'Add of signed values': (n) => {
    const x = conv(n, n.input('x', S), 'a')
    return conv(n, n.op('Add', [conv(n, x, 'b'), x]), 'c')
  },
  'Gemm to float': (n) =>
    n.op('Gemm', [n.input('x', [5, 40]), n.weight('w', [12, 40]), n.weight('b', [12])], { transB: attribute.int(1) }),
  'MatMul to float': (n) => n.op('MatMul', [n.input('x', [5, 40]), n.weight('w', [40, 12])]),
}

describe('onCodes', () => {
  it.each(Object.keys(NETS))('gives the bits of integer kernels: %s', async (name) => {
    const net = new SmallNet()
    const result = await quantizeSmall(net.model({ y: (NETS[name] as (typeof NETS)[string])(net) }), {
      smallLayers: 'integer',
    })
    const model = onCodes(result.model, { add: 'ratios' })
    const simulated = await run(serializeModel(model), result.feeds, { optimization: 'simulate' })
    expect(maxDifference(simulated.y, result.integer.y)).toBe(0)
  })

  it('leaves the model that it is given as it was', async () => {
    const net = new SmallNet()
    const { model } = await quantizeSmall(net.model({ y: conv(net, net.input('x', S), 'a') }))
    const before = serializeModel(model)
    onCodes(model)
    expect(serializeModel(model)).toEqual(before)
  })
})
