import {
  type AllocateOptions,
  type AllocateResult,
  type Analysis,
  type AnalyzeOptions,
  allocate as allocateOn,
  analyze as analyzeOn,
  type Certificate,
  type ClimbOptions,
  type ClimbResult,
  type CompareOptions,
  type Comparison,
  type ConvertQatOptions,
  type ConvertQatResult,
  calibrationData,
  climb as climbOn,
  compare as compareOn,
  convertQat as convertQatOn,
  type Data,
  type DoctorOptions,
  type DoctorResult,
  datasetFor,
  doctor as doctorOn,
  type EasyQuantOptions,
  type EasyQuantResult,
  type EvaluateOptions,
  type Evaluation,
  type ExportedModel,
  type ExportModelOptions,
  easyQuant as easyQuantOn,
  evaluate as evaluateOn,
  exportModel as exportModelOn,
  type Inspection,
  type IntegerReport,
  inspect as inspectModel,
  type Lint,
  type LintOptions,
  lint as lintOn,
  type Model,
  type OptimizeOptions,
  type OptimizeResult,
  optimize as optimizeOn,
  type PlannedQatOptions,
  type PlanOptions,
  type PlanResult,
  type PrepareQatOptions,
  type PrepareQatResult,
  planModel as planOn,
  prepareQat as prepareQatOn,
  type QFloat,
  type QuantizeOptions,
  type QuantizeResult,
  quantize as quantizeOn,
  type RunIntegersOptions,
  type RunOptions,
  registriesWith,
  runIntegers as runIntegersOn,
  type Speed,
  type SpeedOptions,
  speed as speedOn,
  type UncalibratedQFloat,
  type VerifyOptions,
  verify as verifyOn,
  type Why,
  why as whyOn,
} from '@fewbit/core'
import { type AlgorithmInfo, describeAlgorithms } from '@fewbit/core/algorithms'
import { modelInputs } from '@fewbit/core/engine'
import { describeObservers, type ObserverInfo } from '@fewbit/core/observers'
import { highsSolver, nodeEngine } from '@fewbit/engine-node'
import { checkOptions, type OptionNames } from './options.ts'

/** Options of a verb, with ONNX Runtime for Node as the engine unless another one is given. */
export type OnNode<O extends RunOptions> = Omit<O, 'engine'> & Partial<Pick<O, 'engine'>>

/** The same for verbs over data: data that are not fitted to a model yet will do. */
export type OverData<O extends RunOptions> = Omit<OnNode<O>, 'data'> & { readonly data: Data }

const RUN = {
  engine: true,
  signal: true,
  onProgress: true,
  ops: true,
  extensions: true,
} satisfies OptionNames<RunOptions>
const OPTIMIZE = { passes: true, ...RUN } satisfies OptionNames<OptimizeOptions>
const EVALUATE = {
  data: true,
  metrics: true,
  against: true,
  samples: true,
  batchSize: true,
  load: true,
  ...RUN,
} satisfies OptionNames<EvaluateOptions>
const RUN_INTEGERS = {
  data: true,
  scheme: true,
  samples: true,
  threads: true,
  onCodes: true,
  ...RUN,
} satisfies OptionNames<RunIntegersOptions>
const ANALYZE = {
  data: true,
  samples: true,
  batchSize: true,
  layerwise: true,
  statistics: true,
  evaluation: true,
  quantization: true,
  names: true,
  ...RUN,
} satisfies OptionNames<AnalyzeOptions>
const PLAN = {
  target: true,
  scheme: true,
  weightObserver: true,
  perTensor: true,
  activations: true,
  overrides: true,
  algorithms: true,
  floatOps: true,
  floatNodes: true,
  floatWorst: true,
  smallLayers: true,
  dispatch: true,
  tails: true,
  edgeBits: true,
  seed: true,
  ...RUN,
} satisfies OptionNames<PlanOptions>
const QUANTIZE = {
  calibration: true,
  evaluation: true,
  recipe: true,
  allowOtherData: true,
  checkpoint: true,
  resume: true,
  ...PLAN,
} satisfies OptionNames<QuantizeOptions>
const { algorithms: _algorithms, floatWorst: _worst, ...PLAN_QAT } = PLAN
const PREPARE_QAT = {
  calibration: true,
  fakeQuantizer: true,
  weightQuantizer: true,
  batchNorm: true,
  preset: true,
  rangeObserver: true,
  strict: true,
  ...PLAN_QAT,
} satisfies OptionNames<PrepareQatOptions>
const CONVERT_QAT = {
  target: true,
  data: true,
  samples: true,
  tensors: true,
  ...RUN,
} satisfies OptionNames<ConvertQatOptions>
const EASY_QUANT = {
  data: true,
  samples: true,
  start: true,
  stop: true,
  count: true,
  ...RUN,
} satisfies OptionNames<EasyQuantOptions>
const { resume: _resume, ...QUANTIZE_TRIAL } = QUANTIZE
const CLIMB = { maxDrop: true, metric: true, memory: true, ...QUANTIZE_TRIAL } satisfies OptionNames<ClimbOptions>
const { checkpoint: _checkpoint, ...QUANTIZE_OFTEN } = QUANTIZE_TRIAL
const { recipe: _recipe, allowOtherData: _other, ...QUANTIZE_ANEW } = QUANTIZE_OFTEN
const ALLOCATE = {
  bits: true,
  budgets: true,
  sensitivity: true,
  sensitivitySamples: true,
  points: true,
  solver: true,
  ...QUANTIZE_ANEW,
} satisfies OptionNames<AllocateOptions>
const DOCTOR = { apply: true, ...QUANTIZE_OFTEN } satisfies OptionNames<DoctorOptions>
const COMPARE = {
  data: true,
  samples: true,
  tolerance: true,
  intermediate: true,
  ...RUN,
} satisfies OptionNames<CompareOptions>
const VERIFY = { engines: true, models: true, ...COMPARE } satisfies OptionNames<VerifyOptions>
const SPEED = {
  engines: true,
  data: true,
  rounds: true,
  budget: true,
  ...RUN,
} satisfies OptionNames<SpeedOptions>
const LINT = { target: true, scheme: true, overrides: true, ...RUN } satisfies OptionNames<LintOptions>
const EXPORT_MODEL = {
  name: true,
  exporters: true,
  forms: true,
  target: true,
  scheme: true,
  overrides: true,
  ...RUN,
} satisfies OptionNames<ExportModelOptions>
const CALIBRATION = {
  data: true,
  dataFree: true,
  samples: true,
  observer: true,
  observerOptions: true,
  batchSize: true,
} satisfies OptionNames<QuantizeOptions['calibration']>
const EVALUATION = {
  data: true,
  samples: true,
  metrics: true,
} satisfies OptionNames<NonNullable<QuantizeOptions['evaluation']>>

const withEngine = <O extends { engine?: RunOptions['engine'] }>(options: O) => ({
  ...options,
  engine: options.engine ?? nodeEngine(),
})

/**
 * Facts about a model, without running it. Weights are not read.
 * @throws FewbitError OPTION_UNKNOWN, PLUGIN_*
 */
export async function inspect(model: Model, options: Pick<RunOptions, 'ops' | 'extensions'> = {}): Promise<Inspection> {
  checkOptions(options, { ops: true, extensions: true })
  return inspectModel(model, registriesWith(options.extensions, options.ops))
}

/**
 * A smaller model that computes the same. The given model is not changed.
 * @throws FewbitError OPTION_UNKNOWN; PASS_UNKNOWN for a pass that does not exist.
 */
export async function optimize(model: Model, options: OnNode<OptimizeOptions> = {}): Promise<OptimizeResult> {
  checkOptions(options, OPTIMIZE)
  return optimizeOn(model, withEngine(options))
}

/**
 * Quantizes a float network: plans, calibrates in one pass, chooses by measuring, and measures what it cost. The given model is
 * not changed.
 * @throws FewbitError OPTION_UNKNOWN naming the nearest option; PLAN_ALREADY_QUANTIZED, CALIB_*, DATA_*; the signal's reason when
 * aborted.
 */
export async function quantize(model: Model, options: OnNode<QuantizeOptions>): Promise<QuantizeResult> {
  checkOptions(options, QUANTIZE)
  return quantizeOn(model, withEngine(await spread(model, options)))
}

/**
 * Quantizes by ever stronger methods until the score on the evaluation data drops by no more than `maxDrop`, and tells what each cost and
 * bought. Where nothing suffices the best network is returned, with `ladder.met` false.
 * @throws FewbitError LADDER_*, and what `quantize` throws.
 */
export async function climb(model: Model, options: OnNode<ClimbOptions>): Promise<ClimbResult> {
  checkOptions(options, CLIMB)
  return climbOn(model, withEngine(await spread(model, options)))
}

/**
 * Quantizes, examines the network, and names from a closed list what is wrong with it, where, what helps, and what that does.
 * @throws FewbitError OPTION_UNKNOWN, and what `quantize` throws.
 */
export async function doctor(model: Model, options: OnNode<DoctorOptions>): Promise<DoctorResult> {
  checkOptions(options, DOCTOR)
  return doctorOn(model, withEngine(await spread(model, options)))
}

/** The options with calibration data that stand for the whole set. */
async function spread<O extends OnNode<QuantizeOptions>>(model: Model, options: O): Promise<O> {
  checkOptions(options.calibration, CALIBRATION, 'calibration')
  if (options.evaluation !== undefined) checkOptions(options.evaluation, EVALUATION, 'evaluation')
  const { calibration, recipe } = options
  if (calibration.data === undefined) return options
  const data = await spreadData(calibration.data, model, calibration.samples ?? recipe?.settings.samples)
  return { ...options, calibration: { ...calibration, data } }
}

/**
 * Puts fake-quantizers into a float network, where `quantize` would put quantizers, beginning with calibrated ranges. The given model is not
 * changed. `saveModel(result.model, …)` keeps all that training and converting need; `readQFloat` reads it back.
 * @throws FewbitError OPTION_UNKNOWN naming the nearest option; QAT_*, FAKE_QUANTIZER_*, CALIB_*, DATA_*.
 */
export function prepareQat(model: Model, options: OnNode<PrepareQatOptions>): Promise<PrepareQatResult>
/**
 * The same without calibration data, as far as that goes: whether the target can hold what is asked for is told now, and `train` begins with ranges from
 * the data that it trains with.
 */
export function prepareQat(model: Model, options: OnNode<PlannedQatOptions>): Promise<UncalibratedQFloat>
export async function prepareQat(
  model: Model,
  options: OnNode<PrepareQatOptions> | OnNode<PlannedQatOptions>,
): Promise<PrepareQatResult | UncalibratedQFloat> {
  checkOptions(options, PREPARE_QAT)
  const calibration: Partial<PrepareQatOptions['calibration']> = options.calibration ?? {}
  checkOptions(calibration, CALIBRATION, 'calibration')
  if (calibration.data === undefined) return prepareQatOn(model, withEngine(options))
  const data = await spreadData(calibration.data, model, calibration.samples)
  return prepareQatOn(model, withEngine({ ...options, calibration: { ...calibration, data } }))
}

/**
 * Scales fake-quantizers one after the other to where their part of the network is most like the float network.
 * @throws FewbitError OPTION_UNKNOWN, QAT_EASYQUANT, DATA_*
 */
export async function easyQuant(qfloat: QFloat, options: OnNode<EasyQuantOptions>): Promise<EasyQuantResult> {
  checkOptions(options, EASY_QUANT)
  return easyQuantOn(qfloat, withEngine(options))
}

/**
 * The quantized network of a network with fake-quantizers, and with data, how far the two are apart in steps of the output.
 * @throws FewbitError OPTION_UNKNOWN, QAT_DISABLED, TARGET_UNKNOWN, RETARGET_*
 */
export async function convertQat(qfloat: QFloat, options: OnNode<ConvertQatOptions> = {}): Promise<ConvertQatResult> {
  checkOptions(options, CONVERT_QAT)
  return convertQatOn(qfloat, withEngine(options))
}

/**
 * Chooses the precision of each layer within budgets; `allocationOptions` makes options of `quantize` from the result. The given model is
 * not changed.
 * @throws FewbitError OPTION_UNKNOWN; ALLOCATE_INFEASIBLE naming the least that is possible; what `quantize` throws.
 */
export async function allocate(
  model: Model,
  options: Omit<OnNode<AllocateOptions>, 'solver'> & Partial<Pick<AllocateOptions, 'solver'>>,
): Promise<AllocateResult> {
  checkOptions(options, ALLOCATE)
  checkOptions(options.calibration, CALIBRATION, 'calibration')
  const { calibration } = options
  const data = await spreadData(calibrationData(calibration), model, calibration.samples)
  const solver = options.solver ?? highsSolver()
  return allocateOn(model, withEngine({ ...options, solver, calibration: { ...calibration, data } }))
}

const DEFAULT_SAMPLES = 128

/** A set that is sorted by class must not be calibrated on its first class only. */
async function spreadData(data: Data, model: Model, samples = DEFAULT_SAMPLES): Promise<Data> {
  return typeof data === 'object' && data !== null && 'open' in data ? data.open(modelInputs(model), samples) : data
}

/** The observers that there are, with their statistics and options. */
export const observers = (plugins: RunOptions['extensions'] = []): ObserverInfo[] =>
  describeObservers(registriesWith(plugins).observers)

/** The algorithms that there are, with their stages and options, in the order in which they run. */
export const algorithms = (plugins: RunOptions['extensions'] = []): AlgorithmInfo[] =>
  describeAlgorithms(registriesWith(plugins).algorithms)

/**
 * Decides who is quantized and how, without data.
 * @throws FewbitError OPTION_UNKNOWN, PLAN_ALREADY_QUANTIZED
 */
export async function planModel(model: Model, options: OnNode<PlanOptions> = {}): Promise<PlanResult> {
  checkOptions(options, PLAN)
  return planOn(model, withEngine(options))
}

/**
 * Why a node is, or is not, quantized, and with what.
 * @throws FewbitError OPTION_UNKNOWN; NODE_UNKNOWN with the nearest names.
 */
export async function why(model: Model, node: string, options: OnNode<PlanOptions> = {}): Promise<Why> {
  checkOptions(options, PLAN)
  return whyOn(model, node, withEngine(options))
}

/**
 * Runs a model over data and scores its outputs.
 * @throws FewbitError OPTION_UNKNOWN, EVALUATE_*, DATA_*; the signal's reason when aborted.
 */
export async function evaluate(model: Model, options: OverData<EvaluateOptions>): Promise<Evaluation> {
  checkOptions(options, EVALUATE)
  return evaluateOn(model, { ...withEngine(options), data: await datasetFor(options.data, model) })
}

/**
 * Runs a quantized network in whole numbers, as one kind of hardware does, and compares every layer with the engine's run of the same file.
 * @throws FewbitError OPTION_UNKNOWN, INTEGER_*, DATA_*; the signal's reason when aborted.
 */
export async function runIntegers(model: Model, options: OverData<RunIntegersOptions>): Promise<IntegerReport> {
  checkOptions(options, RUN_INTEGERS)
  return runIntegersOn(model, { ...withEngine(options), data: await datasetFor(options.data, model) })
}

/**
 * The error of each layer of a quantized model against its float model, in graph order.
 * @throws FewbitError OPTION_UNKNOWN, ANALYZE_NO_PAIRS, DATA_*; the signal's reason when aborted.
 */
export async function analyze(float: Model, quantized: Model, options: OverData<AnalyzeOptions>): Promise<Analysis> {
  checkOptions(options, ANALYZE)
  return analyzeOn(float, quantized, { ...withEngine(options), data: await datasetFor(options.data, float) })
}

/**
 * The forms in which a backend reads a quantized model, whoever quantized it; for a backend other than its own the network is planned anew
 * with the ranges that the file covers. `exportArtifacts` does the same for what `quantize` returned.
 * @throws FewbitError OPTION_UNKNOWN, IMPORT_FLOAT, RETARGET_RANGE, EXPORT_* naming tensors.
 */
export async function exportModel(model: Model, options: OnNode<ExportModelOptions> = {}): Promise<ExportedModel> {
  checkOptions(options, EXPORT_MODEL)
  return exportModelOn(model, withEngine(options))
}

/**
 * What a backend will not quantize, fuse or accept about a float or quantized network, where, why, and what helps. Needs no data.
 * @throws FewbitError OPTION_UNKNOWN, TARGET_UNKNOWN, SCHEME_*; what planning throws.
 */
export async function lint(model: Model, options: OnNode<LintOptions> = {}): Promise<Lint> {
  checkOptions(options, LINT)
  return lintOn(model, withEngine(options))
}

/**
 * The first node at which two forms of one network part: the first that makes something else of the same tensors.
 * @throws FewbitError OPTION_UNKNOWN, COMPARE_*, ENGINE_*, DATA_*.
 */
export async function compare(first: Model, second: Model, options: OverData<CompareOptions>): Promise<Comparison> {
  checkOptions(options, COMPARE)
  return compareOn(first, second, { ...withEngine(options), data: await datasetFor(options.data, first) })
}

/**
 * Whether engines agree on a float and its quantized network, the first node that differs where they do not, and the cause where it is a known
 * one. The first of `engines` is the reference.
 * @throws FewbitError OPTION_UNKNOWN, VERIFY_ENGINES, ENGINE_*, DATA_*.
 */
export async function verify(float: Model, quantized: Model, options: OverData<VerifyOptions>): Promise<Certificate> {
  checkOptions(options, VERIFY)
  return verifyOn(float, quantized, { ...withEngine(options), data: await datasetFor(options.data, float) })
}

/**
 * Latency of a float and its quantized network on each engine, and why the quantized one is not faster where it is not.
 * @throws FewbitError OPTION_UNKNOWN, SPEED_ENGINES, DATA_*.
 */
export async function speed(float: Model, quantized: Model, options: OverData<SpeedOptions>): Promise<Speed> {
  checkOptions(options, SPEED)
  return speedOn(float, quantized, { ...withEngine(options), data: await datasetFor(options.data, float) })
}
