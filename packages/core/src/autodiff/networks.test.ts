// Whole networks: their gradients along random directions against central differences of what the engine computes.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../engine/index.ts'
import { asTensor, cloneModel, GraphBuilder, graphValues, type Model, Tensor, valuesByName } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { type FixedInputs, fixInputs } from '../passes/index.ts'
import { type Rng, rng } from '../util/index.ts'
import { differentiate, readyToDifferentiate } from './index.ts'

const data = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const folder = join(data, 'models')
const demo = fileURLToPath(new URL('../../../cli/assets/demo.onnx', import.meta.url))
const engine = nodeEngine({ threads: 1 })

/** Relative step of the differences. */
const STEP = 3e-6
/**
 * Relu and MaxPool that switch within a step leave errors of this order: with larger steps they grow, with smaller ones float32 rounds
 * too much away. A wrong rule leaves out whole parts.
 */
const TOLERANCE = 0.05

const published = (name: string) => join(folder, `${name}.onnx`)

interface Network {
  readonly name: string
  readonly path: string
  /** Of inputs with open dimensions. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /** Inputs that are no floats. */
  readonly fixed?: FixedInputs
  /** Weights that other operators read than those that say so below. */
  readonly weights?: readonly string[]
}

const NETWORKS: readonly Network[] = [
  { name: 'demo', path: demo, shapes: { picture: [2, 3, 32, 32] } },
  { name: 'mnist', path: published('mnist_cnn') },
  { name: 'resnet20', path: published('cifar_resnet20'), shapes: { input: [2, 3, 32, 32] } },
  { name: 'vww', path: published('vww_mobilenetv1_025_96'), shapes: { input: [1, 96, 96, 3] } },
  { name: 'honk', path: published('kws_honk_res8'), shapes: { mfcc: [2, 1, 101, 40] } },
  { name: 'squeezenet', path: published('imagenet_squeezenet11') },
  { name: 'rfdn', path: published('sr_rfdn_x4'), shapes: { lr: [1, 3, 32, 24] } },
  { name: 'fastestdet', path: published('coco_fastestdet') },
  {
    name: 'vit',
    path: published('cifar_vit_ibp_3_3_8'),
    shapes: { input: [2, 3, 32, 32] },
    weights: ['0.cls_token', '0.positions'],
  },
  {
    name: 'silero',
    path: published('vad_silero_16k'),
    shapes: { input: [1, 512], state: [2, 1, 128] },
    fixed: { sr: 16000 },
    weights: ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((name) => `model.decoder.rnn.${name}`),
  },
]

describe.each(NETWORKS)('gradient of $name', ({ path, shapes = {}, fixed = {}, weights: further = [] }) => {
  it.skipIf(!existsSync(path))('by inputs and by weights is its derivative', async () => {
    const model = readyToDifferentiate(fixInputs(await loadModel(path), fixed), defaultOps, shapes)
    const random = rng(17)
    const seed = withLoss(model, random)
    const inputs = model.graph.inputs.filter((x) => !x.constant).map((x) => x.name)
    const weights = [...weightsOf(model), ...further]
    const point = { ...normals(model, inputs, random), ...constants(model, weights) }
    const result = differentiate(model, { ops: defaultOps, loss: 'loss', by: [...inputs, ...weights] })
    const gradients = await run(result.model, pick(point, inputs))
    const gradient = (name: string) => gradients[result.gradients.get(name) as string] as Tensor
    for (const names of [inputs, weights]) {
      const steps = Object.fromEntries(names.map((n) => [n, step(point[n] as Tensor, gradient(n), random)]))
      const [ahead, behind] = [1, -1].map((sign) => moved(point, steps, sign)) as [Feeds, Feeds]
      const loss = async (at: Feeds) => {
        const outputs = await run(withConstants(model, pick(at, weights)), pick(at, inputs))
        return dot(outputs[model.graph.outputs[0]?.name ?? ''] as Tensor, seed)
      }
      const numeric = (await loss(ahead)) - (await loss(behind))
      // Over the difference of the rounded points, not over the steps that were meant.
      const analytic = names.reduce((sum, n) => {
        return sum + dot(gradient(n), ahead[n] as Tensor) - dot(gradient(n), behind[n] as Tensor)
      }, 0)
      expect(Math.abs(analytic / numeric - 1), `${analytic} against ${numeric}`).toBeLessThan(TOLERANCE)
    }
  })
})

/** Adds Σ seed · first output as output `loss`; the seed is normal. */
function withLoss(model: Model, random: Rng): Tensor {
  const b = new GraphBuilder(model.graph)
  const [y] = model.graph.outputs
  if (!y) throw new Error('no output')
  const dims = (asTensor(y.type)?.shape ?? []) as number[]
  const seed = Tensor.float32(dims, Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, random.normal))
  const weighted = b.op('Mul', [y, b.constant('seed', seed)])
  model.graph.outputs.splice(1, Infinity, b.op('ReduceSum', [weighted], {}, { output: 'loss' }))
  return seed
}

/** Float initializers with more than one element that the loss depends on: weights, biases, parameters of normalization. */
function weightsOf(model: Model): string[] {
  const data = new Set(['Conv', 'Gemm', 'MatMul', 'BatchNormalization'])
  return [...graphValues(model.graph)].flatMap((value) => {
    const isRead = value.uses().some(({ node, index }) => index > 0 && data.has(node.opType))
    return model.graph.initializers.has(value) && value.constant?.dtype === 'float32' && isRead ? [value.name] : []
  })
}

function normals(model: Model, names: readonly string[], random: Rng): Feeds {
  const values = valuesByName(model.graph)
  return Object.fromEntries(
    names.map((name) => {
      const dims = (asTensor(values.get(name)?.type)?.shape ?? []) as number[]
      return [name, Tensor.float32(dims, Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, random.normal))]
    }),
  )
}

const constants = (model: Model, names: readonly string[]): Feeds => {
  const values = valuesByName(model.graph)
  return Object.fromEntries(names.map((name) => [name, values.get(name)?.constant as Tensor]))
}

/**
 * A random step of about `STEP` times each element in the direction in which the loss grows, so that its change stands out from
 * rounding: along a direction of random signs the parts of a million elements would cancel.
 */
function step(at: Tensor, gradient: Tensor, random: Rng): Tensor {
  const slopes = gradient.numbers()
  const values = Float32Array.from(
    at.numbers(),
    (v, i) => STEP * Math.abs(v * random.normal()) * Math.sign(slopes[i] ?? 0),
  )
  return Tensor.float32(at.dims, values)
}

const moved = (point: Feeds, steps: Feeds, sign: number): Feeds => ({
  ...point,
  ...Object.fromEntries(Object.entries(steps).map(([name, by]) => [name, plus(point[name] as Tensor, by, sign)])),
})

const plus = (a: Tensor, b: Tensor, sign: number): Tensor =>
  Tensor.float32(
    a.dims,
    Float32Array.from(a.numbers(), (v, i) => v + sign * (b.numbers()[i] ?? 0)),
  )

function dot(a: Tensor, b: Tensor): number {
  const [x, y] = [a.numbers(), b.numbers()]
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += (x[i] ?? 0) * (y[i] ?? 0)
  return sum
}

const pick = (feeds: Feeds, names: readonly string[]): Feeds =>
  Object.fromEntries(names.map((name) => [name, feeds[name] as Tensor]))

function withConstants(model: Model, constants: Feeds): Model {
  const copy = cloneModel(model)
  for (const [name, value] of valuesByName(copy.graph)) if (constants[name]) value.constant = constants[name]
  return copy
}

async function run(model: Model, feeds: Feeds): Promise<Feeds> {
  const session = await engine.load(model)
  return session.run(feeds).finally(() => session.release())
}
