import { batches, dropPadding, type LoadOptions, modelInputs, probeModel } from '../../engine/index.ts'
import { graphValues, type Model, type Tensor } from '../../ir/index.ts'
import { inArithmeticOf, type QFloat } from '../../qat/index.ts'
import { dequantizedName, type ParamsTable, type QuantParams, type QuantPlan, type Target } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import { type Data, datasetFor } from '../data.ts'
import type { Execution } from '../execution.ts'
import type { Run } from '../run.ts'
import { contextOf } from './qat-context.ts'

/** How far a tensor of the quantized network is from that of the network with fake-quantizers, in steps of its codes. */
export interface StepDifference {
  /** Of the quantized network. */
  readonly value: string
  /** One step: the tensor's own scale, the least distance of two levels, or, of an output that the backend hands over in float, its range in so many parts as activations have codes. */
  readonly step: number
  readonly stepFrom: 'scale' | 'range'
  readonly elements: number
  /** Share of elements that are at most one step apart, 0 to 1. */
  readonly within: number
  /** Share of elements that are the same to a hundredth of a step. */
  readonly equal: number
  /** Largest distance, in steps, and the place where it is: the sample, and the element's index in it. */
  readonly worst: number
  readonly at: { readonly sample: number; readonly index: number }
}

export interface Conversion {
  readonly samples: number
  readonly outputs: readonly StepDifference[]
  /**
   * Where `outputs` come from the backend's own kernels and too few are within a step: the same of both networks in float between quantizers,
   * which is what converting alone does. Good figures here say that kernels are to blame.
   */
  readonly simulated?: readonly StepDifference[]
  /** Of quantized tensors in plan order, where they were asked for. */
  readonly tensors?: readonly StepDifference[]
}

export interface ConversionRequest {
  readonly qfloat: QFloat
  /** That is the backend, if any. */
  readonly engine: Target['engine']
  readonly quantized: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly data: Data
  readonly samples: number
  readonly tensors: boolean
  readonly execution: Execution
  readonly run: Run
}

/** A smaller share of outputs within a step is looked into. */
const EXPECTED = 0.999

/** Runs both networks on the same data, the quantized one as the backend does, the one with fake-quantizers in its arithmetic. */
export async function measureConversion(given: ConversionRequest): Promise<Conversion> {
  const { tensors, execution, engine, run } = given
  const inArithmetic = (own: Target['engine']) => inArithmeticOf(own, given.qfloat, contextOf(run))
  const request = { ...given, qfloat: inArithmetic(engine) }
  return run.stage('compare', async () => {
    const outputs = outputPairs(request)
    const found = await compare(request, [...outputs, ...(tensors ? tensorPairs(request) : [])], execution.load)
    const isFar = found.differences.slice(0, outputs.length).some(({ within }) => within < EXPECTED)
    const inFloat = { ...given, qfloat: inArithmetic(undefined) }
    const simulated = execution.isBackend && isFar ? await compare(inFloat, outputs, SIMULATE) : undefined
    return {
      samples: found.samples,
      outputs: found.differences.slice(0, outputs.length),
      ...(simulated ? { simulated: simulated.differences } : {}),
      ...(tensors ? { tensors: found.differences.slice(outputs.length) } : {}),
    }
  })
}

const SIMULATE: LoadOptions = { optimization: 'simulate' }

const BATCH = 8

async function compare(
  { qfloat, quantized, data, samples, run }: ConversionRequest,
  pairs: readonly Pair[],
  load: LoadOptions,
) {
  const names = (side: 'reference' | 'candidate') => pairs.map((pair) => pair[side])
  const first = await open(qfloat.model, names('reference'), SIMULATE, run)
  const second = await open(quantized, names('candidate'), load, run)
  try {
    const dataset = await datasetFor(data, qfloat.model)
    const tallies = pairs.map((pair) => new Tally(pair))
    let done = 0
    const options = { batchSize: BATCH, limit: samples, ...run.signal }
    for await (const batch of batches(dataset, modelInputs(qfloat.model), options)) {
      const [a, b] = [await first.run(batch.feeds), await second.run(batch.feeds)].map((out) => dropPadding(out, batch))
      for (const tally of tallies) {
        tally.add(a?.[tally.pair.reference], b?.[tally.pair.candidate], done, batch.samples.length)
      }
      done += batch.samples.length
    }
    return { samples: done, differences: tallies.map((tally) => tally.result()) }
  } finally {
    await first.release()
    await second.release()
  }
}

const open = (model: Model, probes: readonly string[], load: LoadOptions, run: Run) =>
  run.engine.load(probeModel(model, probes), load)

interface Pair {
  readonly value: string
  readonly reference: string
  readonly candidate: string
  /** Absent: the tensor is float, and its range tells the step. */
  readonly scale?: number
  readonly levels: number
}

function outputPairs({ qfloat, quantized, plan, params }: ConversionRequest): Pair[] {
  const levels =
    2 ** Math.max(...plan.tensors.filter(({ role }) => role === 'activation').map(({ spec }) => spec.bits), 2) - 1
  return qfloat.model.graph.outputs.map(({ name }, i) => {
    const own = plan.tensors.find(({ value, graphOutput }) => value === name && graphOutput)
    const scale = own && stepOf(params.get(own.group))
    const candidate = must(quantized.graph.outputs[i], 'output').name
    return { value: name, reference: name, candidate, levels, ...(scale === undefined ? {} : { scale }) }
  })
}

/** The scale; of levels that are not evenly spaced, the least distance between two. */
function stepOf(params: QuantParams | undefined): number | undefined {
  const [scale] = params?.scale ?? []
  const format = params?.spec.format
  if (scale === undefined || format?.kind !== 'levels') return scale
  const { levels } = format
  return scale * Math.min(...levels.slice(1).map((level, i) => level - (levels[i] as number)))
}

/** Quantized activations as their readers see them, in both networks. */
function tensorPairs({ qfloat: { model, record }, quantized, plan, params }: ConversionRequest): Pair[] {
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const values = new Set([...graphValues(quantized.graph)].map(({ name }) => name))
  const sites = new Map(
    record.quantizers.flatMap((q) => q.sites.map(({ value, node }) => [`${q.group}\n${value}`, node] as const)),
  )
  return plan.tensors.flatMap(({ role, value, group, graphOutput }) => {
    const reference = nodes.get(sites.get(`${group}\n${value}`) ?? '')?.outputs[0]?.name
    const candidate = graphOutput ? value : dequantizedName(value)
    const scale = stepOf(params.get(group))
    if (role !== 'activation' || reference === undefined || scale === undefined || !values.has(candidate)) return []
    return [{ value, reference, candidate, scale, levels: 1 }]
  })
}

/** Counts distances. Those of tensors without a scale are kept until their range is known. */
class Tally {
  readonly pair: Pair
  readonly #distances: Float32Array[] = []
  #range = { lo: Infinity, hi: -Infinity }
  readonly #samples: number[] = []

  constructor(pair: Pair) {
    this.pair = pair
  }

  add(a: Tensor | undefined, b: Tensor | undefined, firstSample: number, samples: number): void {
    const [left, right] = [must(a, `"${this.pair.reference}"`).numbers(), must(b, `"${this.pair.candidate}"`).numbers()]
    this.#distances.push(Float32Array.from(left, (v, i) => Math.abs(v - (right[i] as number))))
    this.#samples.push(firstSample, samples)
    for (const v of left) {
      if (v < this.#range.lo) this.#range.lo = v
      if (v > this.#range.hi) this.#range.hi = v
    }
  }

  result(): StepDifference {
    const { value, scale, levels } = this.pair
    const step = scale ?? ((this.#range.hi - this.#range.lo) / levels || 1)
    let [elements, within, equal, worst] = [0, 0, 0, 0]
    let at = { sample: 0, index: 0 }
    this.#distances.forEach((distances, batch) => {
      const [first = 0, samples = 1] = this.#samples.slice(2 * batch)
      const each = distances.length / samples
      distances.forEach((distance, i) => {
        const steps = distance / step
        elements++
        // The products of codes and scales are rounded: one step apart may read 1.0000001.
        if (steps <= 1.001) within++
        if (steps <= 0.01) equal++
        if (steps > worst) [worst, at] = [steps, { sample: first + Math.floor(i / each), index: Math.floor(i % each) }]
      })
    })
    const share = (n: number) => n / Math.max(elements, 1)
    return {
      value,
      step,
      stepFrom: scale === undefined ? 'range' : 'scale',
      elements,
      within: share(within),
      equal: share(equal),
      worst,
      at,
    }
  }
}
