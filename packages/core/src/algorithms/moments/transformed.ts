import { type Engine, evaluateModel } from '../../engine/index.ts'
import { asTensor, extract, type Model, type Node, Tensor, tensorType, type Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { ValueMoments } from './value-moments.ts'

/** Standard deviations that the quadrature covers on each side, and its points. */
const REACH = 6
const POINTS = 241

/** Points of the trapezoidal rule in standard deviations, with the normal weight of each; it converges exponentially for smooth functions. */
const NODES = Array.from({ length: POINTS }, (_, k) => {
  const z = -REACH + (2 * REACH * k) / (POINTS - 1)
  return { z, weight: Math.exp((-z * z) / 2) }
})
const TOTAL = NODES.reduce((sum, { weight }) => sum + weight, 0)

/**
 * Moments behind an elementwise node with one input that is no constant, by quadrature over the normal distribution cut at the input's
 * bounds; the engine computes the function. Per-channel constants are right channel by channel.
 * @param input moments of `x`, which the node reads.
 * @returns nothing where the shapes do not tell the channels.
 */
export async function transformed(
  model: Model,
  engine: Engine,
  node: Node,
  x: Value,
  input: ValueMoments,
): Promise<ValueMoments | undefined> {
  const output = must(node.outputs[0], `output of "${node.name}"`)
  const rank = asTensor(x.type)?.shape?.length
  if (!rank || rank <= input.axis || asTensor(x.type)?.dtype !== 'float32') return undefined
  const part = extract(model, [x], [output])
  const channels = input.mean.length
  const dims = Array.from({ length: rank }, (_, axis) => (axis === input.axis ? channels : 1))
  // Points lie along the batch axis, which no constant of a network spans.
  if (input.axis === 0) return undefined
  dims[0] = POINTS
  const [fed] = part.graph.inputs
  if (!fed) return undefined
  fed.type = tensorType('float32', dims)
  fed.constant = Tensor.float32(dims, gridOf(input))
  part.graph.inputs.length = 0
  part.graph.initializers.add(fed)
  for (const value of part.graph.outputs) value.type = undefined
  const { [output.name]: made } = await evaluateModel(engine, part)
  return made && summarized(made, input, rank)
}

function gridOf({ normal: { mean, std }, lo, hi }: ValueMoments): Float32Array {
  const grid = new Float32Array(POINTS * mean.length)
  NODES.forEach(({ z }, k) => {
    for (let c = 0; c < mean.length; c++) {
      const x = (mean[c] as number) + z * (std[c] as number)
      grid[k * mean.length + c] = Math.min(Math.max(x, lo[c] as number), hi[c] as number)
    }
  })
  return grid
}

function summarized(made: Tensor, { axis, origin }: ValueMoments, rank: number): ValueMoments | undefined {
  if (made.dims.length !== rank || made.dims[0] !== POINTS) return undefined
  const channels = must(made.dims[axis], 'channels')
  const inner = made.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  const sums = { mean: new Float64Array(channels), square: new Float64Array(channels) }
  const [lo, hi] = [new Float64Array(channels).fill(Infinity), new Float64Array(channels).fill(-Infinity)]
  const values = made.numbers()
  const ofPoint = values.length / POINTS
  for (let i = 0; i < values.length; i++) {
    const [y, c] = [values[i] as number, Math.floor(i / inner) % channels]
    const share = (must(NODES[Math.floor(i / ofPoint)], 'point').weight / TOTAL) * (channels / ofPoint)
    sums.mean[c] = (sums.mean[c] as number) + share * y
    sums.square[c] = (sums.square[c] as number) + share * y * y
    lo[c] = Math.min(lo[c] as number, y)
    hi[c] = Math.max(hi[c] as number, y)
  }
  const std = sums.square.map((s, c) => Math.sqrt(Math.max(0, s - (sums.mean[c] as number) ** 2)))
  const all = [sums.mean, std, lo, hi].flatMap((part) => [...part])
  return all.every(Number.isFinite)
    ? { mean: sums.mean, std, lo, hi, normal: { mean: sums.mean, std }, axis, origin }
    : undefined
}
