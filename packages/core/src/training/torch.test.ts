import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { must } from '../util/index.ts'
import {
  crossEntropy,
  graphLoss,
  parseLoss,
  parseOptimizer,
  type StepBatch,
  type Trainable,
  TrainingRun,
  trainable,
  trainingStep,
} from './index.ts'
import golden from './torch.json.golden?raw'

// What PyTorch 2.13.0 makes of the same data: bench/peers/training.py.
interface Oracle {
  readonly losses: Record<string, { readonly loss: number; readonly gradient: number[] }>
  readonly optimizers: Record<string, number[][]>
  readonly networks: Record<
    string,
    { readonly loss: number[]; readonly norm: number[]; readonly state: Record<string, number[]> }
  >
}

const ORACLE: Oracle = JSON.parse(golden)
const engine = nodeEngine({ threads: 1 })
const ops = defaultOps

function wave(dims: readonly number[], f: number, s = 1, add = 0): Tensor {
  const n = dims.reduce((a, b) => a * b, 1)
  return Tensor.float32(
    dims,
    Float32Array.from({ length: n }, (_, i) => Math.fround(s * Math.sin(f * (i + 1))) + add),
  )
}

const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce(
    (most, v, i) => Math.max(most, Math.abs(v - (b[i] ?? Number.NaN))),
    a.length === b.length ? 0 : 1,
  )

/** y = x + w: the gradient by w is that of the loss by its output. */
function adding(dims: readonly number[], w: Tensor): Trainable {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 18]> main (float32[${dims}] x, float32[${dims}] w)
    => (float32[${dims}] y) { y = Add(x, w) }`)
  const value = must(model.graph.inputs.pop(), 'w')
  value.constant = w
  model.graph.initializers.add(value)
  return { model, parameters: [{ name: 'w', kind: 'weight' }], updates: new Map() }
}

describe('losses', () => {
  const labels = Int32Array.from([1, 4, 0, 2])
  const teacher =
    parseModel(`<ir_version = 8, opset_import = ["": 18]> main (float32[4,5] x, float32[4,5] z) => (float32[4,5] y)
    { nothing = Sub(x, x) y = Add(z, nothing) }`)
  const z = must(teacher.graph.inputs.pop(), 'z')
  z.constant = wave([4, 5], 1.9, 3)
  teacher.graph.initializers.add(z)

  it.each(Object.entries(ORACLE.losses))(
    '%s is PyTorch’s, and so is its gradient',
    async (text, { loss, gradient }) => {
      const x = wave([4, 5], 1.3, 1.5)
      const trainable = adding([4, 5], Tensor.float32([4, 5], new Float32Array(20)))
      const step = trainingStep({ trainable, loss: parseLoss(text), optimizer: parseOptimizer('sgd'), teacher, ops })
      const run = await TrainingRun.load(engine, step)
      const report = await run.advance({ feeds: { x }, labels, target: wave([4, 5], 0.7, 2) }, { lr: 1 })
      const w = must(run.state().get('w'), 'w').numbers()
      await run.release()
      expect(Math.abs(report.loss - loss)).toBeLessThan(1e-6 * Math.max(1, loss))
      expect(
        largest(
          w,
          gradient.map((g) => -g),
        ),
      ).toBeLessThan(2e-6)
    },
  )
})

describe('optimizers', () => {
  const sum = parseModel(
    '<ir_version = 8, opset_import = ["": 18]> main (float32[6] output, float32[6] target) => (float32[] loss) ' +
      '{ p = Mul(output, target) loss = ReduceSum<keepdims = 0>(p) }',
  )

  it.each(Object.entries(ORACLE.optimizers))('%s makes PyTorch’s steps', async (text, steps) => {
    const options = { loss: graphLoss(sum, ops), optimizer: parseOptimizer(text), ops }
    const step = trainingStep({ trainable: adding([6], wave([6], 0.9)), ...options })
    const run = await TrainingRun.load(engine, step)
    for (const [i, expected] of steps.entries()) {
      const feeds = { x: Tensor.float32([6], new Float32Array(6)) }
      await run.advance({ feeds, target: wave([6], 1.1 + 0.3 * i, 0.5) }, { lr: 0.1 })
      expect(largest(must(run.state().get('w'), 'w').numbers(), expected)).toBeLessThan(1e-6)
    }
    await run.release()
  })
})

describe('a network with convolutions and BatchNormalization', () => {
  const dims = { 'conv.weight': [4, 2, 3, 3], 'norm.weight': [4], 'norm.bias': [4], 'depthwise.weight': [4, 1, 3, 3] }
  const more = { 'depthwise.bias': [4], 'last.weight': [3, 4], 'last.bias': [3] }

  function network(): Model {
    const model = parseModel(
      `<ir_version = 8, opset_import = ["": 17]> main (float32[N,2,6,6] x) => (float32[N,3] y)
      <float32[4] mean = {0, 0, 0, 0}, float32[4] var = {1, 1, 1, 1}> {
      c = Conv<pads = [1, 1, 1, 1]>(x, w0) n = BatchNormalization(c, w1, w2, mean, var) r = Relu(n)
      d = Conv<pads = [1, 1, 1, 1], strides = [2, 2], group = 4>(r, w3, w4) e = Relu(d)
      p = ReduceMean<axes = [2, 3], keepdims = 0>(e) y = Gemm<transB = 1>(p, w5, w6) }`.replace(
        '(float32[N,2,6,6] x)',
        `(float32[N,2,6,6] x,
      ${Object.values({ ...dims, ...more })
        .map((d, i) => `float32[${d}] w${i}`)
        .join(', ')})`,
      ),
    )
    const weights = model.graph.inputs.splice(1)
    for (const [i, [name, d]] of Object.entries({ ...dims, ...more }).entries()) {
      const value = must(weights[i], name)
      value.name = name
      value.constant = wave(d, 1.7 + 0.1 * i, 0.5, name === 'norm.weight' ? 1 : 0)
      model.graph.initializers.add(value)
    }
    return model
  }

  const batch = (step: number): StepBatch => {
    const labels = Int32Array.from({ length: 8 }, (_, i) => (i + step) % 3)
    return { feeds: { x: wave([8, 2, 6, 6], 0.37 + 0.01 * step, 1.5) }, labels }
  }
  const names: Record<string, string> = { 'norm.running_mean': 'mean', 'norm.running_var': 'var' }

  it.each(Object.entries(ORACLE.networks))('trains as in PyTorch with %s', async (text, { loss, norm, state }) => {
    const step = trainingStep({
      ...{ trainable: trainable(network(), ops), loss: crossEntropy(), optimizer: parseOptimizer(text), ops },
      clipNorm: 0.5,
    })
    const run = await TrainingRun.load(engine, step)
    for (const [i, expected] of loss.entries()) {
      const lr = text.startsWith('sgd') ? 0.05 : 0.01
      const report = await run.advance(batch(i), { lr })
      expect(Math.abs(report.loss - expected)).toBeLessThan(1e-5)
      expect(Math.abs(must(report.gradNorm, 'norm') - must(norm[i], 'norm'))).toBeLessThan(1e-5)
    }
    const found = run.state()
    await run.release()
    expect(found.size).toBe(Object.keys(state).length)
    for (const [name, values] of Object.entries(state)) {
      const mine = must(found.get(names[name] ?? name), name).numbers()
      expect(largest(mine, values), name).toBeLessThan(1e-5)
    }
  })
})
