import { batches, modelInputs } from '../../engine/index.ts'
import { qatOps } from '../../fake-quantizers/index.ts'
import { cloneModel, type Model, valuesByName } from '../../ir/index.ts'
import { materialize, resolveBiases } from '../../quant/index.ts'
import { Diagnostics, FewbitError, mixSeed, must } from '../../util/index.ts'
import type { AlgorithmOutcome, QuantizedContext } from '../algorithm.ts'
import { biasedLayers } from '../linear-bias.ts'
import { type WeightedLayer, weightedLayers } from '../rounding/weighted-layer.ts'
import { deploy, learnedBy } from './deploy-unit.ts'
import { FisherGradients } from './fisher.ts'
import { Pace } from './pace.ts'
import type { ReconstructionOptions } from './reconstruction-options.ts'
import { startingWeight } from './starting-weight.ts'
import { trainUnit } from './train-unit.ts'
import { type TrainingForm, trainingForm } from './training-form.ts'
import { Journey, type UnitData } from './unit-data.ts'
import { unitError } from './unit-error.ts'
import { partOf } from './unit-part.ts'
import { partFor, recordIn, type UnitRecord } from './unit-record.ts'
import { type Decision, unitStep } from './unit-step.ts'
import { type Unit, unitsOf } from './units.ts'
import type { WeightRule } from './weight-sites.ts'

/** What tells one method of reconstruction from another. */
export interface Method {
  readonly weights: WeightRule
  /** Of an element to be quantized in a step, and to come from the quantized network. */
  readonly prob: number
  readonly decision?: Decision
}

/** Steps between two reports of progress. */
const REPORTED = 25

/**
 * Goes through the network unit by unit. Each learns its weights and the scales of its activations so that its outputs, on what the units
 * before it have become, are those of the float network (BRECQ, arXiv:2102.05426).
 */
export async function reconstruct(
  cx: QuantizedContext,
  options: ReconstructionOptions,
  method: Method,
): Promise<AlgorithmOutcome> {
  const { layers, notes } = weightedLayers(cx.model, cx.plan)
  const units = unitsOf(cx.model, new Set(layers.flatMap(({ nodes }) => nodes)), options)
  const samples = await calibrationBatches(cx)
  const journey = new Journey(cx.engine, samples)
  const fisher = options.fisher === 'diagonal' ? new FisherGradients(cx, samples) : undefined
  const pace = new Pace(units)
  const work = new UnitWork({ cx, options, method, layers, fisher, pace, total: units.length * options.iterations })
  const records: UnitRecord[] = []
  for (const [i, unit] of units.entries()) {
    const float = { model: cx.reference, load: {} }
    // Of finished units, too: pieces are then cut as they were, and the engine adds up in the same order.
    const data = await journey.to(unit, float, { model: quantizedNow(cx), load: cx.load })
    const known = cx.parts?.earlier[i]
    const record = known ? recordIn(known, unit) : await work.reconstruct(unit, data, i)
    if (record.learned) deploy(record.learned, cx)
    if (!known) await cx.parts?.keep(partFor(unit, record))
    records.push(record)
  }
  return {
    changed: records.flatMap(({ changed }) => changed),
    notes: [...notes, ...records.flatMap((record) => record.notes)],
    details: { units: records.flatMap(({ details }) => details ?? []) },
  }
}

async function calibrationBatches({ model, data, signal }: QuantizedContext) {
  const { dataset, samples, batchSize } = must(data, 'calibration data')
  const found = []
  const limits = { batchSize, limit: samples, ...(signal ? { signal } : {}) }
  for await (const batch of batches(dataset, modelInputs(model), limits)) found.push(batch)
  return found
}

/** The network with what has been reconstructed so far. */
function quantizedNow({ model, plan, params, form }: QuantizedContext): Model {
  const current = new Map(params)
  resolveBiases(model, plan, current, new Diagnostics())
  return materialize(cloneModel(model), plan, current, { form })
}

interface Surroundings {
  readonly cx: QuantizedContext
  readonly options: ReconstructionOptions
  readonly method: Method
  readonly layers: readonly WeightedLayer[]
  readonly fisher: FisherGradients | undefined
  readonly pace: Pace
  /** Steps of all units. */
  readonly total: number
}

class UnitWork {
  readonly #around: Surroundings

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** Leaves the network as it is. */
  async reconstruct(unit: Unit, data: UnitData | undefined, index: number): Promise<UnitRecord> {
    this.#around.pace.begin()
    try {
      return await this.#learn(unit, data, index)
    } catch (error) {
      if (!(error instanceof FewbitError) || !/^(AUTODIFF|OPSET)_/.test(error.code)) throw error
      return leftAlone(unit, error.message)
    } finally {
      this.#around.pace.end(index)
    }
  }

  async #learn(unit: Unit, data: UnitData | undefined, index: number): Promise<UnitRecord> {
    const { cx, options } = this.#around
    const batch = Math.min(options.batch, data?.count ?? 0)
    const layers = this.#around.layers.filter(({ nodes }) => nodes.every((node) => unit.nodes.has(node)))
    if (layers.length === 0) return { changed: [], notes: [] }
    const part = () => data && partOf(cx.model, unit, data, batch, cx.ops)
    const first = part()
    if (!data || !first) return leftAlone(unit, 'its batch is not on the first axis, or is fixed')
    const form = this.#form(unit, layers, first)
    const before = await unitError(must(part(), 'part'), data, batch, cx)
    const learned = learnedBy(form, await this.#trained(unit, form, data, batch, index))
    const takeBack = deploy(learned, cx)
    const after = await unitError(must(part(), 'part'), data, batch, cx)
    takeBack()
    const details = { unit: unit.name, layers: form.weights.length, before, after }
    if (!(after <= before)) return { changed: [], notes: [], details: { ...details, undone: true } }
    const changed = form.weights.flatMap(({ layer }) => layer.nodes.map(({ name }) => name))
    return { changed, notes: [], details, learned }
  }

  #form(unit: Unit, layers: readonly WeightedLayer[], part: Model): TrainingForm {
    const { cx, options, method } = this.#around
    const originals = valuesByName(cx.reference.graph)
    const learned = layers.map((layer) => {
      const { weight, tensor } = layer
      const trained = must(originals.get(weight.name)?.constant, 'weight as trained')
      const params = must(cx.params.get(tensor.group), `parameters of "${tensor.group}"`)
      return { layer, start: startingWeight(trained, must(weight.constant, 'weight'), params) }
    })
    const biased = biasedLayers(cx.model, cx.ops).filter(({ node }) => unit.nodes.has(node))
    const biases = options.biasRate > 0 ? biased.map(({ bias }) => bias.name) : []
    const settings = { ...method, scales: options.scaleRate > 0, weighed: options.fisher !== 'none' }
    return trainingForm(part, learned, biases, cx, settings, qatOps(cx.ops))
  }

  async #trained(unit: Unit, form: TrainingForm, data: UnitData, batch: number, index: number) {
    const { cx, options, method, fisher, total, pace } = this.#around
    const { iterations } = options
    const weights = await fisher?.of(unit)
    const step = unitStep(form, options, method.decision, qatOps(cx.ops))
    const onStep = (done: number) => {
      if (done % REPORTED !== 0 && done !== iterations) return
      cx.progress(index * iterations + done, total, pace.note(index, done / iterations))
    }
    const { engine, signal } = cx
    return trainUnit({
      ...{ engine, form, step, iterations, batch, onStep, seed: mixSeed(cx.seed, index) },
      data: { ...data, ...(weights ? { weights } : {}) },
      ...(signal ? { signal } : {}),
    })
  }
}

const leftAlone = ({ name }: Unit, why: string): UnitRecord => ({
  changed: [],
  notes: [`${name} was left alone: ${why}`],
})
