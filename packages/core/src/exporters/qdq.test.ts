import { describe, expect, it } from 'vitest'
import { Graph, GraphBuilder, Model, Tensor, tensorType } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { planQuantization, resolveParams } from '../quant/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { Diagnostics } from '../util/index.ts'
import { qdq } from './qdq.ts'

function context(opset: number) {
  const b = new GraphBuilder(new Graph('g'))
  const x = b.input('x', tensorType('float32', [2, 4]))
  b.output(b.op('MatMul', [x, b.constant('w', Tensor.float32([4, 4], new Float32Array(16).fill(1)))]))
  const model = new Model(b.graph)
  model.opsets.set('', opset)
  inferShapes(model, { ops: defaultOps })
  const plan = planQuantization(model, onnxruntime, defaultOps)
  const chosen = { activations: new Map([['x', { lo: -1, hi: 1 }]]) }
  return {
    name: 'net',
    model,
    plan,
    params: resolveParams(model, plan, chosen, new Diagnostics()),
    target: onnxruntime,
  }
}

describe('qdq', () => {
  it('hands over one model with quantizers', () => {
    const cx = context(13)
    expect(qdq.check(cx)).toEqual([])
    const [artifact, ...more] = qdq.emit(cx)
    expect(more).toEqual([])
    const types = artifact?.kind === 'model' ? [...artifact.model.graph.nodes].map((n) => n.opType) : []
    expect(types).toEqual(['DequantizeLinear', 'QuantizeLinear', 'DequantizeLinear', 'MatMul'])
  })

  it('refuses an opset without scales along an axis, and tensors without a scale', () => {
    expect(qdq.check(context(12)).map((d) => d.code)).toEqual(['EXPORT_OPSET'])
    expect(qdq.check({ ...context(13), params: new Map() }).map((d) => d.code)).toEqual([
      'EXPORT_PARAMS',
      'EXPORT_PARAMS',
    ])
  })
})
