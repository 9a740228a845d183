import { describe, expect, it } from 'vitest'
import { attribute, Graph, GraphBuilder, Model, Tensor, tensorType, type Value } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { parseOverride } from './overrides.ts'
import type { NodePlan } from './plan.ts'
import { planQuantization } from './planner.ts'
import type { PlannerOptions } from './planner-options.ts'

/** A chain of 1×1 convolutions with Relu between them: from `channels[0]` to `channels[1]` and so on. */
function chain(channels: readonly number[]): Model {
  const b = new GraphBuilder(new Graph('chain'))
  let x: Value = b.input('x', tensorType('float32', ['N', channels[0] as number, 8, 8]))
  channels.slice(1).forEach((outputs, i) => {
    const inputs = channels[i] as number
    const w = b.constant(`w${i}`, Tensor.float32([outputs, inputs, 1, 1], new Float32Array(outputs * inputs).fill(0.5)))
    x = b.op('Relu', [b.op('Conv', [x, w], {}, { name: `conv${i}` })], {}, { name: `relu${i}` })
  })
  return finish(b, x)
}

function finish(b: GraphBuilder, output: Value): Model {
  b.output(output)
  const model = new Model(b.graph)
  model.opsets.set('', 17)
  inferShapes(model, { ops: defaultOps })
  return model
}

function decisions(model: Model, options: PlannerOptions = { smallLayers: 'float' }): Record<string, string> {
  const { nodes } = planQuantization(model, onnxruntime, defaultOps, options)
  const say = ({ decision, reason }: NodePlan): string => (decision === 'float' ? reason.code : decision)
  return Object.fromEntries(nodes.map((n) => [n.node, say(n)]))
}

describe('layers at the input that are too small for integer kernels', () => {
  it('stay in float with fewer than 16 output channels, and the next ones run in integers', () => {
    const found = decisions(chain([3, 8, 16, 16]))
    expect(found).toMatchObject({ conv0: 'SMALL_HEAD', conv1: 'integer', conv2: 'integer', relu1: 'fused' })
  })

  it('stay in float with a single input channel however many outputs they have', () => {
    expect(decisions(chain([1, 64, 16]))).toMatchObject({ conv0: 'SMALL_HEAD', conv1: 'integer' })
  })

  it('run in integers from two input and sixteen output channels on', () => {
    expect(decisions(chain([2, 16, 16]))).toMatchObject({ conv0: 'integer', conv1: 'integer' })
    expect(decisions(chain([2, 15, 16]))).toMatchObject({ conv0: 'SMALL_HEAD' })
  })

  it('stay in float one after the other for as long as they are small', () => {
    const found = decisions(chain([3, 4, 8, 16, 8]))
    expect(found).toMatchObject({ conv0: 'SMALL_HEAD', conv1: 'SMALL_HEAD', conv2: 'integer', conv3: 'integer' })
  })

  it('run in integers behind an integer node, where going back to float costs more', () => {
    expect(decisions(chain([3, 16, 4, 4]))).toMatchObject({ conv0: 'integer', conv1: 'integer', conv2: 'integer' })
  })

  it('run in integers behind an integer node and a node that only moves codes', () => {
    const b = new GraphBuilder(new Graph('moved'))
    const x = b.input('x', tensorType('float32', ['N', 4, 8, 8]))
    const first = b.op('Conv', [x, zeros(b, 'w0', [16, 4, 1, 1])], {}, { name: 'wide' })
    const pooled = b.op('MaxPool', [first], { kernel_shape: attribute.ints([2, 2]) }, { name: 'pool' })
    const model = finish(b, b.op('Conv', [pooled, zeros(b, 'w1', [2, 16, 1, 1])], {}, { name: 'narrow' }))
    expect(decisions(model)).toEqual({ wide: 'integer', pool: 'integer', narrow: 'integer' })
  })

  it('take nodes with them that are worth integers only between integer neighbours', () => {
    const b = new GraphBuilder(new Graph('sum'))
    const x = b.input('x', tensorType('float32', ['N', 4, 8, 8]))
    const left = b.op('Conv', [x, zeros(b, 'w0', [8, 4, 1, 1])], {}, { name: 'left' })
    const right = b.op('Conv', [x, zeros(b, 'w1', [8, 4, 1, 1])], {}, { name: 'right' })
    const sum = b.op('Add', [left, right], {}, { name: 'sum' })
    const model = finish(b, b.op('Conv', [sum, zeros(b, 'w2', [32, 8, 1, 1])], {}, { name: 'wide' }))
    const expected = { left: 'SMALL_HEAD', right: 'SMALL_HEAD', sum: 'NO_INTEGER_SOURCE', wide: 'integer' }
    expect(decisions(model)).toEqual(expected)
    expect(decisions(model, {})).toEqual({ left: 'integer', right: 'integer', sum: 'integer', wide: 'integer' })
  })

  it('run in integers where an override says so, and where the option does', () => {
    const model = chain([3, 8, 16])
    const forced = { smallLayers: 'float', overrides: [parseOverride('name=conv0:w8a8')] } as const
    expect(decisions(model, forced)).toMatchObject({ conv0: 'integer', conv1: 'integer' })
    expect(decisions(model, { smallLayers: 'integer' })).toMatchObject({ conv0: 'integer', conv1: 'integer' })
    const observed = { smallLayers: 'float', overrides: [parseOverride('name=conv0:observer=mse')] } as const
    expect(decisions(model, observed)).toMatchObject({ conv0: 'SMALL_HEAD' })
  })

  it('counts input channels of the activation and output channels of the weight in a grouped convolution', () => {
    const b = new GraphBuilder(new Graph('depthwise'))
    const x = b.input('x', tensorType('float32', ['N', 16, 8, 8]))
    const group = { group: attribute.int(16) }
    const model = finish(b, b.op('Conv', [x, zeros(b, 'w', [16, 1, 3, 3])], group, { name: 'depthwise' }))
    expect(decisions(model)).toEqual({ depthwise: 'integer' })
  })

  it('says what is small in words', () => {
    const { nodes } = planQuantization(chain([1, 8, 16]), onnxruntime, defaultOps, { smallLayers: 'float' })
    expect(nodes[0]?.reason.text).toMatch(/^with 1 input channel the integer kernel of ONNX Runtime CPU is slower/)
    const few = planQuantization(chain([3, 8, 16]), onnxruntime, defaultOps, { smallLayers: 'float' })
    expect(few.nodes[0]?.reason.text).toMatch(/^with 8 output channels /)
  })
})

function zeros(b: GraphBuilder, name: string, dims: readonly number[]): Value {
  return b.constant(name, Tensor.float32(dims, new Float32Array(dims.reduce((n, d) => n * d, 1)).fill(0.5)))
}
