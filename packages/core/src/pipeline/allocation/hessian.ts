import { sqnrDb } from '../../analysis/index.ts'
import { cloneModel, type Model, Tensor, valuesByName } from '../../ir/index.ts'
import { fakeQuantize, type TensorPlan } from '../../quant/index.ts'
import { must, problem, rng } from '../../util/index.ts'
import type { ProgressCallback } from '../run.ts'
import type { GroupTrial } from './layer-errors.ts'
import { noiseOf, outputErrors } from './output-errors.ts'
import type { Bench, Sensitivity } from './sensitivity.ts'

/** Random vectors for the trace of one weight. */
const DRAWS = 4
/** Of each element, over the RMS of its weight: three digits above what float32 rounds away, and small enough to switch few Relus. */
const STEP = 1e-3

/**
 * HAWQ-V2's Ω = Tr(H)/n · ‖Q(W) − W‖² of the weights of a group (Dong et al., arXiv:1911.03852), with the Hessian H of
 * L = ½ E‖f(W) − f(W₀)‖² at the float weights W₀, over E‖f(W₀)‖²: the noise ÷ signal of outputs that ΔW makes on average over its directions.
 * The residual vanishes at W₀, so that H = E[JᵀJ] exactly, and vᵀHv = E‖Jv‖² is a difference of outputs.
 * @returns one for each trial, as SQNR in dB.
 * @throws FewbitError ALLOCATE_SENSITIVITY for a group without weights.
 */
export async function hessianErrors(
  bench: Bench,
  trials: readonly GroupTrial[],
  onProgress: ProgressCallback,
): Promise<Sensitivity[]> {
  const found = trials.map(weightsOf)
  const names = [...new Set(found.flat().map(({ value }) => value))]
  const constants = constantsOf(bench.ready.float, names)
  const curvatures = await meanCurvatures(bench, constants, onProgress)
  return trials.map(({ plan }, i) => {
    const noise = must(found[i], 'weights').map((tensor) => {
      const weight = must(constants.get(tensor.value), tensor.value)
      return must(curvatures.get(tensor.value), tensor.value) * squaredError(weight, tensor, plan.params)
    })
    return {
      sqnr: sqnrDb(
        1,
        noise.reduce((a, b) => a + b, 0),
      ),
    }
  })
}

/** A weight that is stored in several forms counts once. */
function weightsOf({ group, plan: { plan } }: GroupTrial): TensorPlan[] {
  const nodes = new Set(group.layers.map(({ node }) => node))
  const read = plan.tensors.filter(({ role, readers }) => role === 'weight' && readers.some((node) => nodes.has(node)))
  if (read.length > 0) return [...new Map(read.map((tensor) => [tensor.value, tensor])).values()]
  const [node = ''] = nodes
  throw problem('ALLOCATE_SENSITIVITY', `"${node}" has no weights, whose rounding is all that a Hessian weighs here`, {
    at: { node },
    fix: 'use --sensitivity sqnr, or fix the scheme of the node with --override',
  })
}

function constantsOf(model: Model, names: readonly string[]): Map<string, Tensor> {
  const values = valuesByName(model.graph)
  return new Map(names.map((name) => [name, must(values.get(name)?.constant, `constant "${name}"`)]))
}

/**
 * Tr(H)/n of each weight by itself, over the power of the outputs: Hutchinson's estimator, the mean of vᵀHv over vectors v of random signs.
 */
async function meanCurvatures(
  bench: Bench,
  constants: ReadonlyMap<string, Tensor>,
  onProgress: ProgressCallback,
): Promise<Map<string, number>> {
  const { float, settings } = bench.ready
  const weights = [...constants].map(([name, tensor]) => ({ name, tensor, step: STEP * (rms(tensor) || 1) }))
  const moves = weights.flatMap((weight, w) =>
    Array.from({ length: DRAWS }, (_, draw) => ({ ...weight, seed: settings.seed + w * DRAWS + draw })),
  )
  const variants = moves.map(
    ({ name, tensor, step, seed }) =>
      () =>
        withConstant(float, name, stepped(tensor, step, seed)),
  )
  const errors = await outputErrors(bench, variants, onProgress)
  const products = errors.map(({ sqnr }, i) => noiseOf(sqnr) / must(moves[i], 'move').step ** 2)
  return new Map(
    weights.map(({ name, tensor }, w) => {
      const own = products.slice(w * DRAWS, (w + 1) * DRAWS)
      return [name, own.reduce((a, b) => a + b, 0) / DRAWS / tensor.size]
    }),
  )
}

/** Each element one step up or down. */
function stepped(tensor: Tensor, step: number, seed: number): Tensor {
  const random = rng(seed)
  const moved = Float32Array.from(tensor.numbers(), (w) => w + (random.next() < 0.5 ? -step : step))
  return Tensor.fromNumbers(tensor.dtype, tensor.dims, moved)
}

function withConstant(model: Model, name: string, tensor: Tensor): Model {
  const copy = cloneModel(model)
  must(valuesByName(copy.graph).get(name), name).constant = tensor
  return copy
}

/** ‖Q(W) − W‖²; of stochastic rounding, as if it were to nearest. */
function squaredError(weight: Tensor, { group }: TensorPlan, table: GroupTrial['plan']['params']): number {
  const params = must(table.get(group), `parameters of "${group}"`)
  const values = weight.numbers()
  const noise = params.spec.rounding === 'stochastic' ? [0.5] : undefined
  const rounded = fakeQuantize(values, params, weight.dims, noise)
  return rounded.reduce((sum, w, i) => sum + (w - (values[i] as number)) ** 2, 0)
}

const rms = (tensor: Tensor): number =>
  Math.sqrt(Array.from(tensor.numbers()).reduce((sum, w) => sum + w * w, 0) / tensor.size)
