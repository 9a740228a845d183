import { normStatistics, propagateMoments, type ValueMoments } from '../algorithms/index.ts'
import type { StatsTable, TensorStats } from '../calibration/index.ts'
import { type Dataset, modelInputs, randomData } from '../engine/index.ts'
import type { Model } from '../ir/index.ts'
import { measuredTensors, type QuantPlan } from '../quant/index.ts'
import { Diagnostics, isFloat, problem } from '../util/index.ts'
import { type AlgorithmSurroundings, adjustQuantized, algorithmsFor, rewriteFloat } from './algorithms.ts'
import { digested } from './data-digest.ts'
import { executionFor } from './execution.ts'
import { finish } from './finish.ts'
import { macsOf } from './macs.ts'
import { makePlan, prepareAndPlan, replanned, targetOf } from './make-plan.ts'
import type { QuantizeSettings } from './options.ts'
import { referenceOutputs } from './output-error.ts'
import type { Produced } from './produce.ts'
import type { QuantizeOptions } from './quantize.ts'
import type { Recipe } from './recipe.ts'
import { candidateOf, checkData, checkOrigin, recordedChoice } from './replay.ts'
import type { Run } from './run.ts'
import { settingsOf } from './settings.ts'

/** Quantizing without data: ranges come from what BatchNormalization remembers of training. */
export interface DataFreeOptions {
  /** Least and greatest element of the network's float inputs, as they are fed: after preprocessing. */
  readonly inputRange?: readonly [number, number]
}

/** Standard deviations from the mean to the end of a range (Nagel 2019, arXiv:1906.04721, section 5). */
const DEVIATIONS = 6

/** What a recipe says of data that were not there. */
const KIND = 'data-free'

export const isDataFree = (recipe: Recipe | undefined): boolean => recipe?.data.kind === KIND

/**
 * Quantizes from the network alone (Nagel 2019, arXiv:1906.04721): β ± 6·|γ| of each BatchNormalization, carried on through the nodes behind
 * it, are the ranges of activations. Nothing is searched and nothing measured.
 * @throws FewbitError DATAFREE_RANGE naming the tensors that no statistics reach; ALGORITHM_DATA for an algorithm that needs data.
 */
export async function produceWithoutData(model: Model, options: QuantizeOptions, run: Run): Promise<Produced> {
  const settings = fixedSettings(settingsOf(options, run))
  const target = targetOf(settings, run)
  const execution = executionFor(target)
  const { recipe: replayed } = options
  if (replayed) checkOrigin(replayed, model, run)
  const algorithms = algorithmsFor(settings, false, run)
  const prepared = await prepareAndPlan(model, settings, run)
  const range = replayed ? recordedRange(replayed) : givenRange(options)
  const batchSize = replayed?.batchSize ?? settings.batchSize ?? 1
  const around = { settings, target, norms: normStatistics(model), data: undefined, batchSize, run }
  const proof = () => randomOutputs(prepared.float, run)
  const rewritten = await rewriteFloat(prepared.float, algorithms, proof, around)
  const { float, plan: first } =
    rewritten.model === prepared.float ? prepared : replanned(rewritten.model, settings, run)
  const stats = await run.stage('statistics', () =>
    knownStats(float, first, range, { ...around, norms: rewritten.norms }),
  )
  const data = noData(range)
  const digest = data.digest()
  if (replayed) checkData(replayed, digest, options.allowOtherData ?? false, run)
  const plan = (o: object) => makePlan(float, settings, run, o)
  const choice = replayed
    ? recordedChoice(replayed, target)
    : { observer: 'minmax', observers: {}, floatNodes: [], trials: [] }
  const found = candidateOf(choice, { float, first, stats, macs: macsOf(float, run), plan, run })
  const surroundings = { ...around, norms: rewritten.norms, execution }
  const adjusted = await adjustQuantized(float, found, algorithms, async () => [], surroundings)
  const facts = { model, settings, choice, batchSize, data: data.toJSON(), inputs: [], dataDigest: digest, stats }
  return {
    ...(await finish(adjusted, facts, execution, run)),
    ...{ reference: float, float: adjusted.model, plan: adjusted.plan, params: adjusted.params },
    ...{ choice, data, batchSize, execution, samples: 0, dataFree: true },
    algorithms: [...rewritten.records, ...adjusted.records],
  }
}

/** @throws FewbitError DATAFREE_OBSERVER for an observer, which would have nothing to look at. */
function fixedSettings(settings: QuantizeSettings): QuantizeSettings {
  const { observer, overrides } = settings
  const named = ['auto', 'minmax'].includes(observer) ? overrides.find((o) => o.observer)?.observer : observer
  if (named === undefined) return { ...settings, observer: 'minmax' }
  throw problem('DATAFREE_OBSERVER', `observer ${named} chooses ranges by looking at data, and there are none`, {
    at: { option: 'observer' },
    fix: 'leave it out: ranges are what BatchNormalization tells',
  })
}

/** Statistics of all measured tensors of a plan, as if bounds had been seen. */
async function knownStats(
  float: Model,
  plan: QuantPlan,
  range: readonly [number, number] | undefined,
  { norms, run }: AlgorithmSurroundings,
): Promise<StatsTable> {
  const fed = modelInputs(float).filter(({ dtype }) => range !== undefined && isFloat(dtype))
  const inputs = new Map(fed.map(({ name }) => [name, inputMoments(range as readonly [number, number])] as const))
  const options = { ops: run.ops, engine: run.engine, norms, inputs, deviations: DEVIATIONS, ...run.signal }
  const moments = await propagateMoments(float, options)
  const wanted = measuredTensors(plan).map(({ value }) => value)
  const missing = wanted.filter((value) => !moments.has(value))
  unreached(missing, float).throwIfErrors()
  return new Map(wanted.map((value) => [value, statsOf(moments.get(value) as ValueMoments)]))
}

/** Uniform over the range: the bounds are what counts. */
function inputMoments([lo, hi]: readonly [number, number]): ValueMoments {
  const one = (x: number) => Float64Array.of(x)
  const normal = { mean: one((lo + hi) / 2), std: one((hi - lo) / Math.sqrt(12)) }
  return { ...normal, normal, lo: one(lo), hi: one(hi), axis: 1, origin: 'input' }
}

const statsOf = ({ lo, hi, axis }: ValueMoments): TensorStats => ({
  count: lo.length,
  min: Math.min(...lo),
  max: Math.max(...hi),
  channels: { axis, min: lo, max: hi },
})

/** What is missing, and what would tell it. */
function unreached(values: readonly string[], float: Model): Diagnostics {
  const inputs = modelInputs(float).filter(({ name }) => values.includes(name))
  const others = values.filter((value) => !inputs.some(({ name }) => name === value))
  const found = new Diagnostics()
  for (const { name } of inputs) {
    found.error('DATAFREE_INPUT', `the range of the input "${name}" is not known, and there are no data to tell it`, {
      at: { value: name },
      fix: 'give --input-range lo,hi (inputRange in code), or the preprocessing of pictures with --preset',
    })
  }
  if (others.length > 0) {
    const text = `no BatchNormalization tells the range of ${others.length} ${others.length === 1 ? 'tensor' : 'tensors'}`
    found.error('DATAFREE_RANGE', text, {
      at: { value: others[0] as string },
      notes: others.slice(0, 10),
      fix: 'give data with --data, or leave the layers there in float (--float-nodes); export the network before BatchNormalization is folded',
      data: { values: others },
    })
  }
  return found
}

/** Samples on which rewrites prove that they keep outputs; none where the inputs' sizes are open. */
async function randomOutputs(float: Model, run: Run) {
  try {
    const data = await randomData({ samples: 4 }).open(modelInputs(float))
    return await referenceOutputs({ float, data, run, batchSize: 1, macs: macsOf(float, run) })
  } catch {
    return []
  }
}

/** Data that are not there, and what stands in their place in the recipe. */
function noData(range: readonly [number, number] | undefined) {
  const none: Dataset = {
    name: 'none',
    length: 0,
    async *samples() {},
    toJSON: () => ({ kind: KIND, deviations: DEVIATIONS, ...(range ? { inputRange: [...range] } : {}) }),
  }
  return digested(none)
}

const givenRange = ({ calibration: { dataFree } }: QuantizeOptions): readonly [number, number] | undefined =>
  dataFree === true ? undefined : dataFree?.inputRange

function recordedRange({ data }: Recipe): readonly [number, number] | undefined {
  const range = data.inputRange
  return Array.isArray(range) && range.length === 2 && range.every(Number.isFinite) ? [range[0], range[1]] : undefined
}
