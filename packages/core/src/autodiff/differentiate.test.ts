import { nodeEngine } from '@fewbit/engine-node'
import { fixture, randomFeeds, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import {
  attribute,
  Graph,
  GraphBuilder,
  type Model,
  parseModel,
  Tensor,
  type Value,
  valuesByName,
  verify,
} from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { FewbitError, must } from '../util/index.ts'
import { differentiate } from './index.ts'

const engine = nodeEngine({ threads: 1 })
const parse = (text: string, opset = 17): Model =>
  parseModel(`<ir_version = 8, opset_import = ["": ${opset}]> main ${text}`)
const f32 = (dims: readonly number[], values: readonly number[]) => Tensor.float32(dims, values)

async function gradientsOf(model: Model, by: readonly string[], feeds: Record<string, Tensor>, loss = 'loss') {
  const result = differentiate(model, { ops: defaultOps, loss, by })
  const outputs = await runModel(engine, result.model, feeds)
  return by.map((name) => Array.from((outputs[result.gradients.get(name) ?? ''] as Tensor).numbers()))
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof FewbitError) return `${error.code} ${error.diagnostics[0]?.at?.node ?? ''}`.trim()
    throw error
  }
  return 'none'
}

describe('differentiate', () => {
  it('adds up what comes back on several ways, and counts repeated elements once for each repetition', async () => {
    // loss = Σ (x² + x·w), x of two elements, w broadcast: ∂x = 2x + w, ∂w = Σ x.
    const model = parse(`(float32[2] x, float32[1] w) => (loss) {
      a = Mul(x, x) b = Mul(x, w) s = Add(a, b) loss = ReduceSum<keepdims = 0>(s) }`)
    const [dx, dw] = await gradientsOf(model, ['x', 'w'], { x: f32([2], [3, -1]), w: f32([1], [5]) })
    expect(dx).toEqual([11, 3])
    expect(dw).toEqual([2])
  })

  it('differentiates by values in between, which hold what came before fixed', async () => {
    const model = parse('(float32[2] x) => (loss) { h = Exp(x) k = Mul(h, h) loss = ReduceSum<keepdims = 0>(k) }')
    const [dh] = await gradientsOf(model, ['h'], { x: f32([2], [0, Math.log(3)]) })
    expect(dh?.[0]).toBeCloseTo(2, 5)
    expect(dh?.[1]).toBeCloseTo(6, 5)
  })

  it('gives zeros where only steps lie between', async () => {
    const model = parse('(float32[2] x) => (loss) { r = Round(x) loss = ReduceSum<keepdims = 0>(r) }')
    expect(await gradientsOf(model, ['x'], { x: f32([2], [0.2, 1.7]) })).toEqual([[0, 0]])
  })

  it('takes the flat side at kinks, and the first of equal elements in a window', async () => {
    const model = parse(`(float32[1,1,4] x) => (loss) {
      r = Relu(x) m = MaxPool<kernel_shape = [2], strides = [2]>(x) a = ReduceSum<keepdims = 0>(r) b = ReduceSum<keepdims = 0>(m)
      loss = Add(a, b) }`)
    expect(await gradientsOf(model, ['x'], { x: f32([1, 1, 4], [0, -1, 7, 7]) })).toEqual([[1, 0, 2, 1]])
  })

  it('raises old models, keeps their outputs, and writes valid graphs', async () => {
    const model = parse(
      `(float32[2,3] x, float32[3] w) => (float32[2,3] y, float32[] loss) {
      y = Softmax(x) t = Mul(y, w) loss = ReduceSum<keepdims = 0>(t) }`,
      9,
    )
    const result = differentiate(model, { ops: defaultOps, loss: 'loss', by: ['x', 'w'] })
    expect(result.model.opset()).toBe(18)
    expect(result.model.graph.outputs.map((y) => y.name)).toEqual(['y', 'loss', 'grad_x', 'grad_w'])
    expect(model.opset()).toBe(9)
    expect(verify(result.model)).toEqual([])
    const feeds = randomFeeds(model, 3)
    const [before, after] = [await runModel(engine, model, feeds), await runModel(engine, result.model, feeds)]
    expect(Array.from((after.y as Tensor).numbers())).toEqual(Array.from((before.y as Tensor).numbers()))
  })

  it('leaves the batch open where rules allow it', async () => {
    const model = fixture('convolutional')
    const { graph } = model
    const b = new GraphBuilder(graph)
    graph.outputs.push(
      b.op('ReduceSum', [graph.outputs[0] as Value], { keepdims: attribute.int(0) }, { output: 'loss' }),
    )
    const weights = [...graph.initializers].map((w) => w.name)
    const result = differentiate(model, { ops: defaultOps, loss: 'loss', by: ['x', ...weights] })
    for (const batch of [1, 3]) {
      const outputs = await runModel(engine, result.model, randomFeeds(model, 2, { N: batch }))
      expect(outputs.grad_x?.dims).toEqual([batch, 3, 8, 8])
      expect(outputs.grad_w1?.dims).toEqual([6, 3, 3, 3])
    }
  })

  it('goes through branches that sizes decide for, and those within', async () => {
    const model = parse('(float32[N,2] x, float32[2] w) => (n) { n = Shape<start = 0, end = 1>(x) }')
    const { graph } = model
    const b = new GraphBuilder(graph)
    const [x, w] = graph.inputs as [Value, Value]
    const one = b.constant('one', Tensor.int64([1], [1]))
    const isOne = b.op('Equal', [must(valuesByName(graph).get('n'), 'n'), one])
    const isTrue = b.op('Not', [b.op('Not', [b.op('Cast', [isOne], { to: attribute.int(9) })])])
    const branch = (write: (inner: GraphBuilder) => Value) => {
      const inner = new GraphBuilder(new Graph('branch'))
      inner.graph.outputs.push(write(inner))
      return attribute.graph(inner.graph)
    }
    const choose = (to: GraphBuilder, then: ReturnType<typeof branch>, otherwise: ReturnType<typeof branch>) =>
      to.op('If', [isTrue], { then_branch: then, else_branch: otherwise })
    const square = branch((inner) =>
      choose(
        inner,
        branch((deep) => deep.op('Mul', [deep.op('Mul', [x, x]), w])),
        branch((deep) => deep.op('Identity', [x])),
      ),
    )
    const y = choose(
      b,
      square,
      branch((inner) => inner.op('Neg', [x])),
    )
    graph.outputs[0] = b.op('ReduceSum', [y], { keepdims: attribute.int(0) }, { output: 'loss' })
    const gradientsFor = async (batch: number, values: readonly number[]) => {
      const options = { ops: defaultOps, loss: 'loss', by: ['x'], shapes: { x: [batch, 2] } }
      const result = differentiate(model, options)
      const outputs = await runModel(engine, result.model, { x: f32([batch, 2], values), w: f32([2], [1, 3]) })
      return Array.from((outputs.grad_x as Tensor).numbers())
    }
    // Σ x²·w for one sample, −Σ x for more.
    expect(await gradientsFor(1, [2, -1])).toEqual([4, -6])
    expect(await gradientsFor(2, [1, 2, 3, 4])).toEqual([-1, -1, -1, -1])
    expect(codeOf(() => differentiate(model, { ops: defaultOps, loss: 'loss', by: ['x'] }))).toMatch(
      /AUTODIFF_OPERATOR If/,
    )
  })

  it('names the node that it cannot differentiate', () => {
    const by = (text: string, by = ['x'], opset = 17) =>
      codeOf(() => differentiate(parse(text, opset), { ops: defaultOps, loss: 'loss', by }))
    expect(
      by(
        '(float32[4] x) => (loss) { h = CumSum(x, axis) loss = ReduceSum(h) } '.replace(
          '=> (loss)',
          '=> (loss) <int64[] axis = {0}>',
        ),
      ),
    ).toBe('AUTODIFF_OPERATOR CumSum')
    expect(by('(float32[4,4] x) => (loss) { h = Einsum<equation = "ii->i">(x) loss = ReduceSum(h) }')).toBe(
      'AUTODIFF_OPERATOR Einsum',
    )
    expect(by('(float32[4] x) => (loss) { loss = Relu(x) }')).toBe('AUTODIFF_VALUE')
    expect(by('(float32[4] x, float32[4] z) => (loss) { loss = ReduceSum(x) }', ['z'])).toBe('AUTODIFF_VALUE')
    expect(by('(float32[4] x) => (loss) { loss = ReduceSum(x) }', ['nobody'])).toBe('AUTODIFF_VALUE')
    expect(by('(int64[4] i) => (loss) { x = Cast<to = 1>(i) loss = ReduceSum(x) }', ['i'])).toBe('AUTODIFF_VALUE')
    expect(by('(float32[A,1] x, float32[B,1] z) => (loss) { s = Add(x, z) loss = ReduceSum(s) }')).toBe(
      'AUTODIFF_SHAPE Add',
    )
  })

  it('passes by what has no part in the gradient', async () => {
    // The path through the indices is not continuous, and CumSum does not depend on x.
    const model = parse(`(float32[3] x, float32[3] z) => (loss) <int64[] axis = {0}> {
      c = CumSum(z, axis) p = Mul(x, c) loss = ReduceSum<keepdims = 0>(p) }`)
    const feeds = { x: f32([3], [1, 1, 1]), z: f32([3], [1, 2, 3]) }
    expect(await gradientsOf(model, ['x'], feeds)).toEqual([[1, 3, 6]])
  })
})
