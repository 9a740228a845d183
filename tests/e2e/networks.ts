import { attribute, type GraphBuilder, type Model, tensorType, type Value } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'
import { batchNorm, newModel, normal } from '@fewbit/testkit'

const { ints } = attribute

function conv(b: GraphBuilder, x: Value, name: string, dims: readonly number[], seed: number): Value {
  const random = rng(seed)
  const inputs = [
    x,
    b.constant(`${name}.weight`, normal(random, dims, 0.4)),
    b.constant(`${name}.bias`, normal(random, [dims[0] as number], 0.1)),
  ]
  return b.op('Conv', inputs, { pads: ints([1, 1, 1, 1]) }, { name })
}

/** Two convolutions, wide enough for integer kernels to pay, and a linear layer on small colour pictures: `x` float32[N, 3, 8, 8] → `y` float32[N, 4]. */
export function smallCnn(): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', ['N', 3, 8, 8]))
  const first = b.op('Relu', [batchNorm(b, conv(b, x, 'conv1', [16, 3, 3, 3], 1), 16, rng(2))], {}, { name: 'relu1' })
  const second = b.op('Relu', [conv(b, first, 'conv2', [16, 16, 3, 3], 3)], {}, { name: 'relu2' })
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [second], {}, { name: 'pool' })], {}, { name: 'flatten' })
  const weight = b.constant('fc.weight', normal(rng(4), [16, 4], 0.5))
  const y = b.op(
    'Gemm',
    [pooled, weight, b.constant('fc.bias', normal(rng(5), [4], 0.1))],
    {},
    { name: 'fc', output: 'y' },
  )
  b.output(y).type = tensorType('float32', ['N', 4])
  return model
}

/** One operator from `x` float32[N, 3, 8, 8] to `y` of the same shape. */
export function oneOperator(type: string): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', ['N', 3, 8, 8]))
  b.output(b.op(type, [x], {}, { name: 'only', output: 'y' })).type = tensorType('float32', ['N', 3, 8, 8])
  return model
}

/** A convolution on the logarithm of its input, which is NaN below zero. */
export function logCnn(): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', ['N', 3, 8, 8]))
  const log = b.op('Log', [x], {}, { name: 'log' })
  b.output(conv(b, log, 'conv', [16, 3, 3, 3], 1)).type = tensorType('float32', ['N', 16, 8, 8])
  return model
}
