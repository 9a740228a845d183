import { normStatistics } from '../algorithms/index.ts'
import { type QuantizedNetwork, variantErrors } from '../analysis/index.ts'
import type { Dataset } from '../engine/index.ts'
import { type ImportedModel, isQuantized } from '../import/index.ts'
import { cloneModel, type Model, type Node, type Tensor, valuesByName } from '../ir/index.ts'
import {
  forEachRun,
  type ParamsTable,
  type QuantForm,
  type QuantParams,
  type QuantPlan,
  requiredOpset,
  type Target,
} from '../quant/index.ts'
import { findTarget } from '../targets/index.ts'
import { isFloat } from '../util/index.ts'
import { algorithmsFor, rewriteFloat } from './algorithms.ts'
import { executionFor, recordedTarget } from './execution.ts'
import { importModel } from './import-model.ts'
import { batchSizeFor, macsOnData, withMacs } from './macs.ts'
import { referenceOutputs } from './output-error.ts'
import { prepare } from './prepare.ts'
import { recipeOfModel } from './recipe.ts'
import type { Run } from './run.ts'
import { settingsOf } from './settings.ts'

/** How a network was quantized, where the caller has it: what `quantize` returns. */
export interface Quantization {
  /** With the weights that algorithms chose. */
  readonly float: Model
  /** The float network before any weight was rounded; default `float`. */
  readonly reference?: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

/** Below this, in dB, a float network put together from two files is not the float network. Folding costs float rounding only. */
const SAME_NETWORK = 50
/** Samples that tell. */
const PROOF_SAMPLES = 4
/** Root mean square, in steps, of what rounding may move weights by: 0.3 to the nearest, about 1 where an algorithm chooses. */
const SAME_WEIGHTS = 2

/**
 * The float network in the terms of its quantized form, so that parts of it can be quantized and others not: from a file, or from what
 * quantizing returned. Undefined where the second model is not quantized or says too little of how.
 */
export async function readNetwork(
  reference: Model,
  candidate: Model,
  data: Dataset,
  run: Run,
  known?: Quantization,
): Promise<QuantizedNetwork | undefined> {
  const { targets } = run.registries
  if (known) {
    const { form } = executionFor(findTarget(known.plan.target, targets))
    const macs = await macsOnData(known.float, data, run)
    const float = known.reference ?? known.float
    return { float, adjusted: known.float, plan: withMacs(known.plan, macs), params: known.params, form }
  }
  if (!isQuantized(candidate, run.ops)) return undefined
  const imported = importModel(candidate, run)
  const lost = imported.diagnostics.filter(({ level }) => level !== 'info')
  if (lost.length > 0) {
    run.diagnostics.info(
      'ANALYZE_OPAQUE',
      'the file does not say how all of it is quantized: layers cannot be taken one by one',
      {
        notes: lost.slice(0, 3).map(({ message }) => message),
        fix: 'analyze in code with what quantize returned',
      },
    )
    return undefined
  }
  const target = recordedTarget(candidate, targets) ?? findTarget('onnxruntime', targets)
  const macs = await macsOnData(imported.model, data, run)
  const trained = await trainedFloat(reference, candidate, target, data, run)
  const float = await withTrainedWeights(imported, trained, data, run)
  const plan = withMacs(imported.plan, macs)
  return { float, adjusted: imported.model, plan, params: imported.params, form: formOf(imported, target) }
}

/** Files of others may need an opset for pairs that they do not have. */
function formOf({ plan, model }: ImportedModel, target: Target): QuantForm {
  const { form } = executionFor(target)
  return form === 'qdq' && requiredOpset(plan, 'qdq') > model.opset() ? 'simulate' : form
}

/** The float model as it was when weights were rounded: prepared, and rewritten by the algorithms that the recipe names. */
async function trainedFloat(
  reference: Model,
  candidate: Model,
  target: Target,
  data: Dataset,
  run: Run,
): Promise<Model> {
  const settings = recordedSettingsOf(candidate, run)
  const opset = Math.max(candidate.opset(), reference.opset(), 13)
  const float = await prepare(reference, target, run, opset, settings?.scheme)
  if (!settings || settings.algorithms.length === 0) return float
  const macs = await macsOnData(float, data, run)
  const batchSize = batchSizeFor(macs)
  const around = { settings, target, norms: normStatistics(reference), data, batchSize, run }
  const outputs = () => referenceOutputs({ float, data, run, batchSize, macs })
  return (await rewriteFloat(float, algorithmsFor(settings, true, run), outputs, around)).model
}

function recordedSettingsOf(candidate: Model, run: Run) {
  try {
    return settingsOf({ engine: run.engine, recipe: recipeOfModel(candidate) }, run)
  } catch {
    // Metadata are anybody's to write; the proof below tells whether the weights fit.
    return undefined
  }
}

/**
 * The imported network with trained constants in the place of rounded ones, if that is the float network; else as it is, so that its weights
 * cannot be told from trained ones.
 */
async function withTrainedWeights(imported: ImportedModel, trained: Model, data: Dataset, run: Run): Promise<Model> {
  const copy = cloneModel(imported.model)
  const finder = new ConstantFinder(trained)
  const weights = imported.plan.tensors.filter(({ role }) => role === 'weight')
  const grids = new Map(weights.map(({ value, group }) => [value, imported.params.get(group)]))
  const strange: string[] = []
  for (const value of copy.graph.initializers) {
    const { constant } = value
    if (!constant || !isFloat(constant.dtype)) continue
    const found = finder.find(value.name, value.uses(), constant)
    const params = grids.get(value.name)
    // Biases change by more than rounding where an algorithm corrects them.
    if (found && (!params || distance(found, constant, params) <= SAME_WEIGHTS)) value.constant = found
    else if (constant.size > 1) strange.push(value.name)
  }
  const same = copy.graph.outputs.length === trained.graph.outputs.length
  const options = { engine: run.engine, data, ops: run.ops, limit: PROOF_SAMPLES, ...run.signal }
  const [proof] = same ? await variantErrors(trained, [() => copy], options) : []
  if (proof && proof.all.sqnr >= SAME_NETWORK) return copy
  run.diagnostics.warn(
    'ANALYZE_WEIGHTS',
    'the weights of the float model are not those that were rounded: rounding them is left out of errors of single layers',
    {
      notes: [
        ...(proof ? [`with its weights, outputs have ${proof.all.sqnr.toFixed(1)} dB`] : []),
        ...strange.slice(0, 5).map((name) => `"${name}" has no counterpart`),
      ],
      fix: 'give the float model that was quantized, or analyze in code with what quantize returned',
    },
  )
  return imported.model
}

/** Root mean square difference of two constants, in steps of the grid that the second one is on. */
function distance(trained: Tensor, rounded: Tensor, { spec, scale }: QuantParams): number {
  const [a, b] = [trained.numbers(), rounded.numbers()]
  let sum = 0
  forEachRun(rounded.dims, spec.granularity, (start, end, p) => {
    for (let i = start; i < end; i++) sum += (((a[i] as number) - (b[i] as number)) / (scale[p] as number)) ** 2
  })
  return Math.sqrt(sum / Math.max(1, a.length))
}

/** Constants of a network by their names, or by who reads them: other tools rename weights, but hardly ever what nodes make. */
class ConstantFinder {
  readonly #values: ReturnType<typeof valuesByName>
  readonly #makers = new Map<string, Node>()

  constructor({ graph }: Model) {
    this.#values = valuesByName(graph)
    for (const node of graph.nodes) for (const value of node.outputs) if (value) this.#makers.set(value.name, node)
  }

  find(
    name: string,
    uses: readonly { readonly node: Node; readonly index: number }[],
    like: Tensor,
  ): Tensor | undefined {
    const read = uses.map(({ node, index }) => this.#makers.get(node.outputs[0]?.name ?? '')?.inputs[index])
    return (
      [this.#values.get(name), ...read]
        .map((value) => value?.constant)
        .find((constant) => constant?.dims.join() === like.dims.join() && constant.dtype === like.dtype) ?? undefined
    )
  }
}
