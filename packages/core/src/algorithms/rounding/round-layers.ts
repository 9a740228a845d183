import { cloneModel, type Model, type Tensor, valuesByName } from '../../ir/index.ts'
import { materialize, resolveBiases } from '../../quant/index.ts'
import { Diagnostics, must } from '../../util/index.ts'
import type { AlgorithmOutcome, QuantizedContext } from '../algorithm.ts'
import { biasSlot, foldMeanError } from './bias-fold.ts'
import { layerProblem } from './layer-problem.ts'
import { floatMoments, type InputMoments, PairedMoments } from './moments.ts'
import type { MomentSource } from './moments-graph.ts'
import { planPasses } from './passes.ts'
import type { SharedOptions } from './rounding-options.ts'
import { type CodeMatrix, type RoundingProblem, rowObjectives, rowSets } from './rounding-problem.ts'
import { type WeightedLayer, weightedLayers } from './weighted-layer.ts'
import { codesOf, demandCodes, onGrid, paramsOf } from './write-codes.ts'

/** The expected squared error of a layer's outputs, summed over channels: on codes and scales before, and afterwards. */
export interface LayerDetails {
  readonly weight: string
  readonly before: number
  readonly after: number
}

/** Chooses the codes of one layer and, unless they are fixed, its scales. */
export type RoundLayer = (
  problem: RoundingProblem,
  start: CodeMatrix,
  scales: SharedOptions['scales'],
) => Promise<CodeMatrix>

/**
 * Collects second moments of the layers' inputs, rounds layer by layer and writes weights, scales and biases back.
 *
 * With `inputs: 'quantized'` layers are done in the order of the graph, each on what the layers before it, rounded already, make of the data.
 */
export async function roundLayers(
  cx: QuantizedContext,
  options: SharedOptions,
  round: RoundLayer,
): Promise<AlgorithmOutcome> {
  const data = must(cx.data, 'calibration data')
  const { layers, notes } = weightedLayers(cx.model, cx.plan)
  const setup = { ...cx, data, positions: options.positions }
  const float = { model: cx.reference, load: {} }
  const pairs = options.inputs === 'quantized' ? await PairedMoments.over(setup, float) : undefined
  const originals = valuesByName(cx.reference.graph)
  const details: LayerDetails[] = []
  let done = 0
  for (const pass of planPasses(layers, pairs !== undefined)) {
    const sources = pass.flatMap((layer) => layer.nodes.map((node): MomentSource => ({ ...layer, node })))
    const moments = pairs
      ? await pairs.collect({ model: quantizedNow(cx), load: cx.load }, sources)
      : await floatMoments(setup, float, sources)
    for (const layer of pass) {
      const own = merged(moments.splice(0, layer.nodes.length))
      const weight = must(originals.get(layer.tensor.value)?.constant, 'weight as trained')
      details.push(await roundLayer({ cx, layer, weight, moments: own, options, round }))
      cx.progress(++done, layers.length)
    }
  }
  return { changed: layers.flatMap(({ nodes }) => nodes.map((n) => n.name)), notes, details: { layers: details } }
}

/** The network with what has been rounded so far. */
function quantizedNow({ model, plan, params, form }: QuantizedContext): Model {
  const current = new Map(params)
  resolveBiases(model, plan, current, new Diagnostics())
  return materialize(cloneModel(model), plan, current, { form })
}

/** Sums over all nodes that share a weight. */
function merged([first, ...others]: readonly InputMoments[]): InputMoments {
  const total = must(first, 'moments')
  for (const other of others) {
    total.count += other.count
    for (const key of ['gram', 'sum', 'cross', 'floatSum'] as const) {
      const [to, from] = [total[key], other[key]]
      if (to && from) for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + (from[i] as number)
    }
  }
  return total
}

interface LayerTask {
  readonly cx: QuantizedContext
  readonly layer: WeightedLayer
  readonly weight: Tensor
  readonly moments: InputMoments
  readonly options: SharedOptions
  readonly round: RoundLayer
}

async function roundLayer({ cx, layer, weight, moments, options, round }: LayerTask): Promise<LayerDetails> {
  const { group, value } = layer.tensor
  const params = must(cx.params.get(group), `parameters of "${group}"`)
  const slot = options.bias ? biasSlot(layer, cx) : undefined
  const { damping } = options
  const problem = layerProblem(layer, weight, params, moments, { centred: slot !== undefined, damping })
  const now = { codes: codesOf(layer, must(layer.weight.constant, 'weight'), params), scale: problem.scale.slice() }
  const errors = rowObjectives(problem, now.codes)
  // A power of two is a shift on the backend and stays one.
  const codes = await round(problem, now.codes.slice(), params.spec.powerOfTwo ? 'fixed' : options.scales)
  const left = keepBetter(problem, codes, now, errors)
  const final = paramsOf(params, problem)
  cx.params.set(group, final)
  layer.weight.constant = onGrid(layer, weight.dims, problem, codes)
  demandCodes(codesOf(layer, layer.weight.constant, final), codes, value)
  if (slot) foldMeanError(slot, layer, weight, moments, cx)
  return { weight: value, before: total(errors), after: left }
}

/**
 * Rows that share scales keep what was found for them only where it is better than the codes and scales before. With quantized inputs
 * the target may lie far from the weights, so that codes next to it are no measure.
 * @returns the objective that is left.
 */
function keepBetter(
  problem: RoundingProblem,
  codes: CodeMatrix,
  old: { readonly codes: CodeMatrix; readonly scale: Float64Array },
  before: Float64Array,
): number {
  problem.scale.set(problem.scale.map(Math.fround))
  const after = rowObjectives(problem, codes)
  const of = (errors: Float64Array, rows: readonly number[]) => rows.reduce((n, row) => n + (errors[row] as number), 0)
  let left = 0
  for (const rows of rowSets(problem)) {
    const [was, found] = [of(before, rows), of(after, rows)]
    left += Math.min(was, found)
    if (found <= was) continue
    for (const row of rows) {
      for (let at = row * problem.terms; at < (row + 1) * problem.terms; at++) {
        codes[at] = old.codes[at] as number
        const p = problem.param[at] as number
        problem.scale[p] = old.scale[p] as number
      }
    }
  }
  return left
}

const total = (values: Float64Array): number => values.reduce((a, b) => a + b, 0)
