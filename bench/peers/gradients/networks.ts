import { differentiate, readyToDifferentiate } from '@fewbit/core/autodiff'
import type { Engine } from '@fewbit/core/engine'
import { asTensor, GraphBuilder, type Model, Tensor, type Value, valuesByName } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { type FixedInputs, fixInputs } from '@fewbit/core/passes'
import { learnedParameters } from '@fewbit/core/training'
import { type Rng, rng } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import { modelPath, networkNamed } from '../../lib/networks.ts'
import type { PeerTask } from './tasks.ts'

/** Sizes of inputs that are open, what is fixed, and how many token there are where inputs are indices. */
interface Point {
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  readonly vocabulary?: number
  readonly fixed?: FixedInputs
  /** Deviation of other inputs, default 1. */
  readonly spread?: number
}

export const POINTS: Readonly<Record<string, Point>> = {
  mnist: {},
  resnet20: { shapes: { input: [4, 3, 32, 32] } },
  vww: { shapes: { input: [2, 96, 96, 3] } },
  honk: { shapes: { mfcc: [2, 1, 101, 40] } },
  squeezenet: {},
  vit: { shapes: { input: [2, 3, 32, 32] } },
  rfdn: { shapes: { lr: [1, 3, 32, 24] } },
  fastestdet: {},
  llm: { shapes: { tokens: [1, 256] }, vocabulary: 512 },
  // Louder noise saturates gates until float32 has no digit left of their slopes.
  vad: { shapes: { input: [1, 512], state: [2, 1, 128] }, fixed: { sr: 16000 }, spread: 0.02 },
}

/** Our gradients of a published network by its inputs and all its weights, at a random point. */
export async function networkTask(name: string, engine: Engine): Promise<PeerTask> {
  const { shapes = {}, fixed = {}, ...kind } = POINTS[name] ?? {}
  const network = fixInputs(await loadModel(modelPath(networkNamed(name))), fixed)
  const forward = readyToDifferentiate(network, defaultOps, shapes)
  const random = rng(21)
  const inputs = forward.graph.inputs.filter((x) => !x.constant)
  const at = Object.fromEntries(inputs.map((x) => [x.name, pointOf(x, random, kind)]))
  forward.graph.outputs.length = 1
  const [y] = forward.graph.outputs as [Value]
  const seed = normals(asTensor(y.type)?.shape as number[], random)
  const by = [...inputs.filter((x) => asTensor(x.type)?.dtype === 'float32').map((x) => x.name), ...weightsOf(forward)]
  const { model, gradients } = differentiate(withLoss(forward, y.name, seed), { ops: defaultOps, loss: 'loss', by })
  const session = await engine.load(model)
  const found = await session.run(at, [...gradients.values()]).finally(() => session.release())
  const ours = Object.fromEntries(by.map((n) => [n, found[gradients.get(n) as string] as Tensor]))
  return { name, forward, at, seeds: { [y.name]: seed }, gradients: ours }
}

function withLoss(forward: Model, output: string, seed: Tensor): Model {
  const copy = readyToDifferentiate(forward, defaultOps)
  const b = new GraphBuilder(copy.graph)
  const weighted = b.op('Mul', [valuesByName(copy.graph).get(output) as Value, b.constant('seed', seed)])
  b.output(b.op('ReduceSum', [weighted], {}, { output: 'loss' }))
  return copy
}

function pointOf(input: Value, random: Rng, { vocabulary, spread = 1 }: Point): Tensor {
  const dims = asTensor(input.type)?.shape as number[]
  const size = dims.reduce((n, d) => n * d, 1)
  if (vocabulary === undefined) return normals(dims, random, spread)
  return Tensor.int64(
    dims,
    Array.from({ length: size }, () => random.int(vocabulary)),
  )
}

const normals = (dims: readonly number[], random: Rng, spread = 1): Tensor =>
  Tensor.float32(
    dims,
    Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, () => spread * random.normal()),
  )

const weightsOf = (model: Model): string[] => learnedParameters(model, defaultOps).map(({ name }) => name)
