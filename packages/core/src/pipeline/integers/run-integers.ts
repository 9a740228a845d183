import { type Dataset, type Feeds, probeModel, type Session } from '../../engine/index.ts'
import { hasIntegerKernels } from '../../import/index.ts'
import {
  type CodeTensor,
  compileIntegers,
  type FloatNode,
  type IntegerNetwork,
  IntegerSession,
  SCHEMES,
  type Scheme,
  type SchemeName,
  type SumBound,
  sumBounds,
} from '../../integer/index.ts'
import { cloneModel, type Model } from '../../ir/index.ts'
import { materialize } from '../../quant/index.ts'
import { type Diagnostic, problem } from '../../util/index.ts'
import { DEFAULT_SAMPLES } from '../default-samples.ts'
import { loadOptionsFor } from '../execution.ts'
import { importModel } from '../import-model.ts'
import { Run, type RunOptions } from '../run.ts'
import { type Agreement, AgreementCounter } from './agreement.ts'
import { type ComparedLayer, comparedLayers } from './compared-layers.ts'

/** The codes of one sample, by the names of the values that hold them, in the order in which they were made. */
export interface SampleCodes {
  readonly id: string
  readonly layers: ReadonlyMap<string, CodeTensor>
}

export interface RunIntegersOptions extends RunOptions {
  readonly data: Dataset
  /** The arithmetic, by name. */
  readonly scheme: SchemeName
  /** At most this many samples; default 8. */
  readonly samples?: number
  /** Threads for large layers; as many as the engine takes by default. */
  readonly threads?: number
  /** Is handed the codes of every layer, sample by sample. */
  readonly onCodes?: (codes: SampleCodes) => void | Promise<void>
}

export interface LayerAgreement extends Agreement {
  /** The value that holds the codes. */
  readonly value: string
  readonly node: string
  readonly opType: string
}

export interface OutputAgreement extends Agreement {
  readonly output: string
  /** Greatest difference in real values. */
  readonly worstReal: number
}

export interface IntegerReport {
  readonly scheme: string
  readonly title: string
  readonly data: string
  readonly samples: number
  readonly secondsPerSample: number
  /** Number of layers that ran in whole numbers. */
  readonly layers: number
  /** Against the engine's own run of the same file. */
  readonly agreement: readonly LayerAgreement[]
  readonly outputs: readonly OutputAgreement[]
  /** What ran in float, and why. */
  readonly floats: readonly FloatNode[]
  /** How far sums can go for any input. */
  readonly bounds: readonly SumBound[]
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Runs a quantized network in whole numbers, as one kind of hardware does, and compares every layer and output with the engine's run of the
 * same file.
 * @throws FewbitError INTEGER_SCHEME for an arithmetic that does not exist; INTEGER_NOTHING where no layer runs in integers; IMPORT_* for
 * operator-oriented files that cannot be read.
 */
export async function runIntegers(model: Model, options: RunIntegersOptions): Promise<IntegerReport> {
  const run = new Run(options)
  const scheme = schemeNamed(options.scheme)
  const pairs = hasIntegerKernels(model) ? inPairs(model, run) : model
  const network = await run.stage('compile', () => compileIntegers(pairs, scheme, run.ops))
  if (!network.steps.some(({ kind }) => kind === 'layer')) throw nothing(network)
  const comparison = new Comparison(comparedLayers(network, pairs))
  const own = await IntegerSession.open(network, {
    engine: run.engine,
    ...(options.threads && { threads: options.threads }),
  })
  const load = loadOptionsFor(model, run)
  const whole = await run.engine.load(model, load)
  const probed = await run.engine.load(probeModel(pairs, comparison.probes), load)
  try {
    const { samples, seconds } = await overSamples({ own, whole, probed, comparison, options, run })
    return {
      scheme: scheme.name,
      title: scheme.title,
      data: options.data.name,
      samples,
      secondsPerSample: seconds / Math.max(1, samples),
      layers: network.steps.filter(({ kind }) => kind === 'layer').length,
      ...comparison.results(),
      floats: network.floats,
      bounds: sumBounds(network),
      diagnostics: run.diagnostics.list,
    }
  } finally {
    for (const session of [own, whole, probed]) await session.release()
  }
}

function schemeNamed(name: string): Scheme {
  if (Object.hasOwn(SCHEMES, name)) return SCHEMES[name as SchemeName]
  throw problem('INTEGER_SCHEME', `there is no arithmetic "${name}"`, {
    at: { option: 'integer' },
    fix: `choose one of ${Object.keys(SCHEMES).join(', ')}`,
  })
}

/** The same network with quantizers in pairs. */
function inPairs(model: Model, run: Run): Model {
  const imported = importModel(model, run)
  return materialize(cloneModel(imported.model), imported.plan, imported.params)
}

function nothing({ floats }: IntegerNetwork) {
  return problem('INTEGER_NOTHING', 'no layer of this network runs in integers', {
    notes: floats.slice(0, 5).map(({ node, opType, reason }) => `${opType} "${node}": ${reason}`),
    fix: 'quantize the network first, for a backend whose arithmetic this is',
  })
}

interface Sessions {
  readonly own: IntegerSession
  readonly whole: Session
  readonly probed: Session
  readonly comparison: Comparison
  readonly options: RunIntegersOptions
  readonly run: Run
}

async function overSamples(all: Sessions): Promise<{ samples: number; seconds: number }> {
  const { own, whole, probed, comparison, options, run } = all
  const limit = Math.min(options.samples ?? DEFAULT_SAMPLES.run, options.data.length ?? Number.POSITIVE_INFINITY)
  let [samples, seconds] = [0, 0]
  await run.stage('run', async (onProgress) => {
    for await (const { id, feeds } of options.data.samples()) {
      options.signal?.throwIfAborted()
      const start = performance.now()
      const { outputs, layers } = await own.run(feeds, true)
      seconds += (performance.now() - start) / 1000
      await options.onCodes?.({ id, layers })
      comparison.add(layers, await probed.run(feeds, comparison.probes))
      comparison.addOutputs(outputs, await whole.run(feeds))
      samples++
      onProgress(samples, limit)
      if (samples >= limit) break
    }
  })
  return { samples, seconds }
}

/** Differences between the run in whole numbers and the engine's. */
class Comparison {
  readonly #layers: readonly ComparedLayer[]
  readonly #counters = new Map<string, AgreementCounter>()
  readonly #outputs = new Map<string, { counter: AgreementCounter; worst: number }>()

  constructor(layers: readonly ComparedLayer[]) {
    this.#layers = layers
  }

  /** Values that the engine has to show. */
  get probes(): string[] {
    return [...new Set(this.#layers.map(({ probe }) => probe))]
  }

  add(codes: ReadonlyMap<string, CodeTensor>, seen: Feeds): void {
    for (const { value, probe, grid } of this.#layers) {
      const [own, values] = [codes.get(value)?.codes, seen[probe]?.numbers()]
      if (!own || !values) continue
      const counter = this.#counters.get(value) ?? new AgreementCounter()
      this.#counters.set(value, counter)
      // Real values of codes are whole multiples of the scale but for float32's rounding.
      const code = (i: number): number => Math.round((values[i] as number) / grid.scale) + grid.zeroPoint
      counter.add(own.length, (i) => Math.abs((own[i] as number) - code(i)))
    }
  }

  addOutputs(own: Feeds, seen: Feeds): void {
    for (const [name, tensor] of Object.entries(own)) {
      const [a, b] = [tensor.numbers(), seen[name]?.numbers() ?? []]
      const entry = this.#outputs.get(name) ?? { counter: new AgreementCounter(), worst: 0 }
      this.#outputs.set(name, entry)
      entry.counter.add(a.length, (i) => (a[i] === b[i] ? 0 : 1))
      a.forEach((v, i) => {
        entry.worst = Math.max(entry.worst, Math.abs(v - (b[i] as number)))
      })
    }
  }

  results(): Pick<IntegerReport, 'agreement' | 'outputs'> {
    const agreement = this.#layers.flatMap(({ value, node, opType }) => {
      const counter = this.#counters.get(value)
      return counter ? [{ value, node, opType, ...counter.agreement }] : []
    })
    const outputs = [...this.#outputs].map(([output, { counter, worst }]) => {
      const { elements, different } = counter.agreement
      return { output, elements, different, worst: different > 0 ? 1 : 0, worstReal: worst }
    })
    return { agreement, outputs }
  }
}
