import type { Dataset, Feeds, LoadOptions } from '../../engine/index.ts'
import type { Model } from '../../ir/index.ts'
import { type Diagnostic, FewbitError, must, problem } from '../../util/index.ts'
import { probesOf } from '../compare/outputs.ts'
import { loadOptionsFor } from '../execution.ts'
import { Run, type RunOptions } from '../run.ts'
import type { VerifiedEngine } from '../verify/index.ts'
import { type KernelSummary, type KernelTime, summarizeKernels } from './kernels.ts'
import { slowReasons, type Traces } from './reasons.ts'
import { type Timing, timeInTurn } from './timing.ts'

/** Runs a model and reports what each kernel took, for engines that tell. */
export type KernelTrace = (model: Model, feeds: Feeds, load: LoadOptions) => Promise<readonly KernelTime[]>

export interface TimedEngine extends VerifiedEngine {
  readonly trace?: KernelTrace
}

export interface SpeedOptions extends RunOptions {
  readonly engines: readonly TimedEngine[]
  readonly data: Dataset
  /** Each loads, warms up and measures both networks. Default 3. */
  readonly rounds?: number
  /** Seconds of measuring in one round of one network. Default 0.5. */
  readonly budget?: number
}

/** Latency of one sample on one engine. JSON. */
export interface EngineSpeed {
  readonly name: string
  readonly library: string
  readonly version: string
  readonly threads: number
  readonly float?: Timing
  readonly quantized?: Timing
  /** quantized ÷ float: below 1 is faster. */
  readonly ratio?: number
  /** Kernels of the quantized network, where the engine tells. */
  readonly kernels?: KernelSummary
  /** Why the quantized network is not faster. */
  readonly reasons: readonly string[]
  readonly failure?: string
}

export interface Speed {
  readonly data: string
  readonly sample: string
  readonly engines: readonly EngineSpeed[]
  readonly diagnostics: readonly Diagnostic[]
}

const ROUNDS = 3
const BUDGET = 0.5

/**
 * Latency of a float and its quantized network on the first sample, on each engine; which kernels run on codes, what is left in float, and why
 * the quantized network is not faster where it is not.
 * @throws FewbitError SPEED_ENGINES without an engine, DATA_*. An engine that cannot run a network is a row that says so.
 */
export async function speed(float: Model, quantized: Model, options: SpeedOptions): Promise<Speed> {
  const run = new Run(options)
  if (options.engines.length === 0) throw noEngines()
  const [first] = await probesOf(float, options.data, 1, options.signal)
  const { id, feeds } = must(first, 'sample')
  const engines: EngineSpeed[] = []
  for (const engine of options.engines) {
    engines.push(
      await run.stage(`time on ${engine.name}`, () => onEngine(engine, float, quantized, feeds, options, run)),
    )
  }
  return { data: options.data.name, sample: id, engines, diagnostics: run.diagnostics.list }
}

async function onEngine(
  { name, engine, load, trace }: TimedEngine,
  float: Model,
  quantized: Model,
  feeds: Feeds,
  { rounds = ROUNDS, budget = BUDGET, signal }: SpeedOptions,
  run: Run,
): Promise<EngineSpeed> {
  const { threads } = engine.capabilities
  const about = { name, library: engine.name, version: engine.version, threads }
  const loads = { float: loadOptionsFor(float, run), quantized: load ?? loadOptionsFor(quantized, run) }
  const models = [
    { model: float, load: loads.float },
    { model: quantized, load: loads.quantized },
  ]
  try {
    const [f, q] = await timeInTurn(models, feeds, engine, { rounds, budget, ...(signal && { signal }) })
    if (!f || !q) return { ...about, reasons: [] }
    const traces: Traces | undefined = trace && {
      float: await trace(float, feeds, loads.float),
      quantized: await trace(quantized, feeds, loads.quantized),
    }
    const ratio = q.median / f.median
    const kernels = traces && summarizeKernels(traces.quantized)
    const reasons = slowReasons(ratio, engine.name, traces)
    return { ...about, float: f, quantized: q, ratio, ...(kernels && { kernels }), reasons }
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error
    return { ...about, reasons: [], failure: error.diagnostics[0]?.message ?? error.message }
  }
}

const noEngines = () =>
  problem('SPEED_ENGINES', 'there is no engine to time the models on', { at: { option: 'engines' }, fix: 'name one' })
