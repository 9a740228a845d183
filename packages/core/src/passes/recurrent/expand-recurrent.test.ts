// Recurrent operators step by step, against ONNX Runtime's own kernels, and their gradients against differences.
import { nodeEngine } from '@fewbit/engine-node'
import { expect, it } from 'vitest'
import { differentiate } from '../../autodiff/index.ts'
import { asTensor, cloneModel, type Model, parseModel, Tensor } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { rng } from '../../util/index.ts'
import { inferShapes } from '../infer-shapes.ts'
import { expandRecurrent } from './index.ts'

const engine = nodeEngine({ threads: 1 })
const [S, N, I, H] = [4, 2, 3, 5]

const network = (type: string, gates: number, { attrs = '', directions = 1, states = type === 'LSTM' }): Model => {
  const [w, r] = [`float32[${directions},${gates * H},${I}] w`, `float32[${directions},${gates * H},${H}] r`]
  const b = `float32[${directions},${2 * gates * H}] b`
  const begin = `float32[${directions},${N},${H}] h0${states ? `, float32[${directions},${N},${H}] c0` : ''}`
  const [outputs, inputs] = states ? ['y, yh, yc', 'x, w, r, b, "", h0, c0'] : ['y, yh', 'x, w, r, b, "", h0']
  const squares = outputs.split(', ').map((y) => [`q_${y}`, `q_${y} = ReduceSumSquare<keepdims = 0>(${y})`] as const)
  const model =
    parseModel(`<ir_version = 9, opset_import = ["": 20]> main (float32[${S},${N},${I}] x, ${w}, ${r}, ${b}, ${begin}) => (${outputs}, loss) {
    ${outputs} = ${type}<hidden_size = ${H}${attrs}>(${inputs})
    ${squares.map(([, text]) => text).join(' ')} loss = Sum(${squares.map(([name]) => name)}) }`)
  inferShapes(model, { ops: defaultOps })
  return model
}

const BOTH = { attrs: ', direction = "bidirectional"', directions: 2 }
const CASES: Readonly<Record<string, Model>> = {
  LSTM: network('LSTM', 4, {}),
  'LSTM both ways': network('LSTM', 4, BOTH),
  'LSTM backwards': network('LSTM', 4, { attrs: ', direction = "reverse"' }),
  GRU: network('GRU', 3, {}),
  'GRU that resets behind its product': network('GRU', 3, { attrs: ', linear_before_reset = 1' }),
  'GRU both ways': network('GRU', 3, BOTH),
  RNN: network('RNN', 1, {}),
  'RNN with Relu': network('RNN', 1, { attrs: ', activations = ["Relu"]' }),
}

function feedsOf(model: Model): Record<string, Tensor> {
  const random = rng(4)
  return Object.fromEntries(
    model.graph.inputs.map((x) => {
      const dims = asTensor(x.type)?.shape as number[]
      const size = dims.reduce((n, d) => n * d, 1)
      return [
        x.name,
        Tensor.float32(
          dims,
          Float32Array.from({ length: size }, () => 0.6 * random.normal()),
        ),
      ]
    }),
  )
}

async function run(model: Model, feeds: Record<string, Tensor>): Promise<Record<string, number[]>> {
  const session = await engine.load(model)
  const outputs = await session.run(feeds).finally(() => session.release())
  return Object.fromEntries(Object.entries(outputs).map(([name, y]) => [name, Array.from(y.numbers(), Number)]))
}

it.each(Object.entries(CASES))(
  '%s gives what its kernel gives, and its gradient is the derivative',
  async (_, model) => {
    const feeds = feedsOf(model)
    const kernel = await run(model, feeds)
    const expanded = cloneModel(model)
    expect(expandRecurrent(expanded)).toBe(1)
    const steps = await run(expanded, feeds)
    for (const [name, values] of Object.entries(kernel)) {
      expect(steps[name]).toHaveLength(values.length)
      values.forEach((v, i) => {
        expect(Math.abs((steps[name]?.[i] ?? Number.NaN) - v)).toBeLessThan(1e-5 * Math.max(1, Math.abs(v)))
      })
    }
    const by = ['x', 'w', 'r', 'b', 'h0']
    const { model: backward, gradients } = differentiate(model, { ops: defaultOps, loss: 'loss', by })
    const found = await run(backward, feeds)
    const random = rng(6)
    for (const name of by) {
      const x = feeds[name] as Tensor
      const direction = Float32Array.from({ length: x.size }, random.normal)
      const moved = (sign: number) => {
        const values = Float32Array.from(x.numbers(), (v, i) => Number(v) + sign * 3e-3 * (direction[i] ?? 0))
        return run(model, { ...feeds, [name]: Tensor.float32(x.dims, values) })
      }
      const numeric = (Number((await moved(1)).loss?.[0]) - Number((await moved(-1)).loss?.[0])) / 6e-3
      const analytic = (found[gradients.get(name) as string] ?? []).reduce(
        (sum, g, i) => sum + g * (direction[i] ?? 0),
        0,
      )
      // Rounding of a loss of about 10 in float32, over the step.
      expect(Math.abs(numeric - analytic)).toBeLessThan(5e-3 * Math.max(1, Math.abs(numeric)))
    }
  },
)

it('leaves what it cannot write as it is', () => {
  for (const attrs of [', clip = 1.0', ', activations = ["Affine", "Tanh", "Tanh"]']) {
    expect(expandRecurrent(network('LSTM', 4, { attrs }))).toBe(0)
  }
})
