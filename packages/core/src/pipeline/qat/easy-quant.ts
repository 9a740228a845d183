import { ErrorAccumulator } from '../../analysis/index.ts'
import { batches, type Feeds, modelInputs, probeModel, type Session } from '../../engine/index.ts'
import { extract, type Model, type Node, Tensor, type Value, valuesByName } from '../../ir/index.ts'
import { lift, type QFloat, type QuantizerRecord, withTrained } from '../../qat/index.ts'
import { must, problem } from '../../util/index.ts'
import { type Data, datasetFor } from '../data.ts'
import { Run, type RunOptions } from '../run.ts'
import { contextOf } from './qat-context.ts'

export interface EasyQuantOptions extends RunOptions {
  readonly data: Data
  /** Default 32. */
  readonly samples?: number
  /** Factors of the scales that are tried: `count` from `start` to `stop`, both included. Default 40 from 0.8 to 1.2. */
  readonly start?: number
  readonly stop?: number
  readonly count?: number
}

export interface EasyQuantResult extends QFloat {
  /** In the order in which they were searched. */
  readonly found: readonly {
    readonly group: string
    readonly factor: number
    readonly before: number
    readonly after: number
  }[]
}

/**
 * Scales weights and activations, one after the other along the network, by the factor at which the output of their part of the network is
 * most like that of the float network: the mean over samples of the cosine between both. Inputs of a part are those that the fake-quantizers
 * before it make. EasyQuant (Wu et al. 2020, arXiv:2006.16669) as MegEngine has it, `apply_easy_quant`.
 * @throws FewbitError QAT_EASYQUANT where a fake-quantizer has no scale that can be set.
 */
export async function easyQuant(qfloat: QFloat, options: EasyQuantOptions): Promise<EasyQuantResult> {
  const run = new Run(options)
  const { start = 0.8, stop = 1.2, count = 40 } = options
  const factors = Array.from({ length: count }, (_, i) => start + ((stop - start) * i) / Math.max(1, count - 1))
  const feeds = await feedsOf(qfloat, options, run)
  const { base } = lift(qfloat, contextOf(run).ops)
  const parts = partsOf(qfloat)
  return run.stage('easyquant', async (progress) => {
    let network: QFloat = qfloat
    const found: EasyQuantResult['found'][number][] = []
    for (const [i, part] of parts.entries()) {
      progress(i, parts.length)
      const wanted = await valuesOf(base, [part.reference], feeds, run)
      const inputs = await valuesOf(network.model, part.cut, feeds, run)
      const search = new PartSearch(network, part, { wanted, inputs, factors })
      const { scales, steps } = await search.run(run)
      network = withTrained(network, scales)
      found.push(...steps)
    }
    return { ...network, found }
  })
}

/** A stretch of the network up to a quantized value or an output, and the groups whose scales are searched there. */
interface Part {
  /** Of the float network. */
  readonly reference: string
  /** Of the network with fake-quantizers. */
  readonly output: string
  /** Activations that it begins with. */
  readonly cut: readonly string[]
  /** Weights first. */
  readonly records: readonly QuantizerRecord[]
}

/** In graph order, each group once. */
function partsOf({ model, record }: QFloat): Part[] {
  const sites = new Map(record.quantizers.flatMap((q) => q.sites.map((site) => [site.node, { q, site }] as const)))
  const seen = new Set<QuantizerRecord>()
  const take = (records: readonly QuantizerRecord[]) => records.filter((r) => !seen.has(r) && seen.add(r))
  const part = (output: Value, reference: string, own: readonly QuantizerRecord[]): Part[] => {
    const { cut, inside } = stretch(output, (node) => sites.get(node.name)?.q)
    const records = take([...inside, ...own])
    for (const each of records) checkScale(each)
    return records.length > 0 ? [{ reference, output: output.name, cut, records }] : []
  }
  const quantized = [...model.graph.nodes].flatMap((node) => {
    const here = sites.get(node.name)
    const output = node.outputs[0]
    return here?.q.role === 'activation' && output ? part(output, here.site.value, [here.q]) : []
  })
  // What the last layers make may leave in float.
  return [...quantized, ...model.graph.outputs.flatMap((output) => part(output, output.name, []))]
}

/** Back from a value to the activations that it begins with: what fake-quantizers before it make, and inputs of the graph. */
function stretch(end: Value, recordOf: (node: Node) => QuantizerRecord | undefined) {
  const cut = new Set<string>()
  const inside = new Set<QuantizerRecord>()
  const reached = new Set<Value>([end])
  for (const value of reached) {
    for (const input of value.producer?.inputs ?? []) {
      if (!input || input.constant) continue
      const record = input.producer ? recordOf(input.producer) : undefined
      if (record && record.role !== 'activation') inside.add(record)
      if (!input.producer || record?.role === 'activation') cut.add(input.name)
      else reached.add(input)
    }
  }
  return { cut: [...cut], inside: [...inside] }
}

function checkScale({ group, inputs, quantizer, spec }: QuantizerRecord): void {
  if (spec.powerOfTwo) {
    const text = `the scale of "${group}" is a power of two, and factors about 1 make others of it`
    throw problem('QAT_EASYQUANT', text, { at: { value: group }, fix: 'calibrate with the observer pot-search' })
  }
  if (inputs.some(({ name }) => name === 'scale')) return
  throw problem('QAT_EASYQUANT', `the fake-quantizer ${quantizer.name} of "${group}" has no scale that could be set`, {
    at: { value: group },
    fix: 'put fixed ones in their place first: resetQuantizers with preset easyquant',
  })
}

async function feedsOf({ model }: QFloat, { data, samples = 32 }: EasyQuantOptions, run: Run): Promise<Feeds[]> {
  const feeds: Feeds[] = []
  const dataset = await datasetFor(data, model)
  for await (const batch of batches(dataset, modelInputs(model), { limit: samples, ...run.signal }))
    feeds.push(batch.feeds)
  return feeds
}

/** Values of a network for each sample. */
async function valuesOf(model: Model, names: readonly string[], feeds: readonly Feeds[], run: Run): Promise<Feeds[]> {
  const inputs = new Set(model.graph.inputs.map(({ name }) => name))
  const computed = names.filter((name) => !inputs.has(name))
  if (computed.length === 0) return [...feeds]
  const session = await run.engine.load(probeModel(model, computed), { optimization: 'simulate' })
  try {
    const found: Feeds[] = []
    for (const each of feeds) found.push({ ...each, ...(await session.run(each, computed)) })
    return found
  } finally {
    await session.release()
  }
}

interface PartData {
  readonly wanted: readonly Feeds[]
  readonly inputs: readonly Feeds[]
  readonly factors: readonly number[]
}

/** Runs a part with its scales as inputs. */
class PartSearch {
  readonly #part: Part
  readonly #data: PartData
  readonly #model: Model
  readonly #scales: Map<string, Tensor>

  constructor({ model }: QFloat, part: Part, data: PartData) {
    this.#part = part
    this.#data = data
    const values = valuesByName(model.graph)
    const names = part.records.map(scaleOf)
    this.#scales = new Map(names.map((name) => [name, must(values.get(name)?.constant, `scale "${name}"`)]))
    const cuts = [...part.cut, ...names].map((name) => must(values.get(name), `value "${name}"`))
    this.#model = extract(model, cuts, [must(values.get(part.output), `value "${part.output}"`)])
  }

  async run(run: Run) {
    const session = await run.engine.load(this.#model, { optimization: 'simulate' })
    const steps: EasyQuantResult['found'][number][] = []
    try {
      for (const record of this.#part.records) steps.push(await this.#search(record, session))
      return { scales: this.#scales, steps }
    } finally {
      await session.release()
    }
  }

  async #search(record: QuantizerRecord, session: Session) {
    const name = scaleOf(record)
    const first = must(this.#scales.get(name), name)
    const scaled = (factor: number) =>
      Tensor.float32(
        first.dims,
        Float32Array.from(first.numbers(), (s) => Math.fround(s * factor)),
      )
    const before = await this.#similarity(session)
    let best = { factor: 1, after: before }
    for (const factor of this.#data.factors) {
      this.#scales.set(name, scaled(factor))
      const after = await this.#similarity(session)
      if (after > best.after) best = { factor, after }
    }
    this.#scales.set(name, scaled(best.factor))
    return { group: record.group, before, ...best }
  }

  /** Mean of the samples' cosines. */
  async #similarity(session: Session): Promise<number> {
    const { wanted, inputs } = this.#data
    let sum = 0
    for (const [i, feeds] of inputs.entries()) {
      const own = Object.fromEntries(this.#part.cut.map((name) => [name, must(feeds[name], name)]))
      const out = await session.run({ ...own, ...Object.fromEntries(this.#scales) })
      const reference = must(wanted[i]?.[this.#part.reference], 'reference').numbers()
      const output = must(out[this.#part.output], 'output').numbers()
      sum += new ErrorAccumulator().add(reference, output).result().cosine
    }
    return sum / Math.max(1, inputs.length)
  }
}

const scaleOf = ({ inputs }: QuantizerRecord): string =>
  must(
    inputs.find(({ name }) => name === 'scale'),
    'scale',
  ).initializer
