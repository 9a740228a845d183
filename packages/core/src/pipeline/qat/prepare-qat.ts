import type { Model, Tensor } from '../../ir/index.ts'
import {
  foldedConstants,
  initialQuantizers,
  isQFloat,
  type QFloat,
  type RangeObserver,
  type Unfolded,
  unfoldNorms,
  writeQFloat,
} from '../../qat/index.ts'
import { learnedParameters } from '../../training/index.ts'
import { type Diagnostic, must, problem } from '../../util/index.ts'
import { prepare } from '../prepare.ts'
import { Run } from '../run.ts'
import { type CalibratedNetwork, calibrateQat, type PlannedNetwork, planQat } from './calibrate-qat.ts'
import { withPreset } from './presets.ts'
import { contextOf } from './qat-context.ts'
import {
  type PlannedQatOptions,
  type PrepareQatOptions,
  type QatQuantization,
  refuseForeign,
  refuseObstacles,
} from './qat-options.ts'
import { FOLDING, type QatRequest, requestOf } from './qat-request.ts'

export interface PrepareQatResult extends QFloat {
  readonly diagnostics: readonly Diagnostic[]
}

/** What `prepareQat` makes without calibration data: a float network, and how training will quantize it. */
export interface UncalibratedQFloat {
  readonly float: Model
  readonly quantization: QatQuantization
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Puts fake-quantizers into a float network, exactly where `quantize` would put quantizers for this target, beginning with calibrated ranges.
 * The caller's model is not changed.
 * @throws FewbitError QAT_OPTION, QAT_PREPARED, QAT_NOTHING, QAT_OBSTACLE, QAT_BATCH_NORM, FAKE_QUANTIZER_*, SPEC_*, CALIB_*, DATA_*, OPTION_*
 */
export function prepareQat(model: Model, options: PrepareQatOptions): Promise<PrepareQatResult>
/** The same without data, as far as that goes: whether it can be done is told, and `train` calibrates on the samples that it trains with. */
export function prepareQat(model: Model, options: PlannedQatOptions): Promise<UncalibratedQFloat>
export async function prepareQat(
  model: Model,
  options: PrepareQatOptions | PlannedQatOptions,
): Promise<PrepareQatResult | UncalibratedQFloat> {
  const given = withPreset(options)
  refuseForeign(given)
  refusePrepared(model)
  const run = new Run(given)
  const request = requestOf(given, run)
  const planned = await planQat(model, request, run)
  refuseObstacles(planned.plan, request.choices, request.target, run)
  return isCalibrated(given) ? fakeQuantized(model, planned, request, given, run) : uncalibrated(model, given, run)
}

const isCalibrated = (options: PrepareQatOptions | PlannedQatOptions): options is PrepareQatOptions =>
  options.calibration !== undefined && 'data' in options.calibration && options.calibration.data !== undefined

function uncalibrated(model: Model, options: PlannedQatOptions, run: Run): UncalibratedQFloat {
  const { engine: _e, signal: _s, onProgress: _p, ops: _o, extensions: _x, ...quantization } = options
  return { float: model, quantization, diagnostics: run.diagnostics.list }
}

async function fakeQuantized(
  model: Model,
  planned: PlannedNetwork,
  request: QatRequest,
  { rangeObserver }: PrepareQatOptions,
  run: Run,
): Promise<PrepareQatResult> {
  const found = await calibrateQat(model, planned, request, run)
  const unfolded = await unfold(found.raised, found.float, request, run)
  const qfloat = begin(found, unfolded, request, rangeObserver ?? null, run)
  return { ...qfloat, diagnostics: [...run.diagnostics.list, ...found.plan.diagnostics] }
}

/** Fake-quantizers as they begin. */
function begin(
  { plan, recipe, paramsWith }: CalibratedNetwork,
  unfolded: Unfolded,
  { settings, strategy, target, choices }: QatRequest,
  observer: RangeObserver | null,
  run: Run,
): QFloat {
  const cx = contextOf(run)
  const { model: base, norms } = unfolded
  const batchNorm = strategy.name
  // Folded weights are what was planned; weights that are quantized as they are have ranges of their own.
  const params = paramsWith(strategy.kind === 'separate' ? ownWeights(unfolded) : new Map())
  const weights = foldedConstants(base, { batchNorm, norms })
  const initial = initialQuantizers({ plan, params, choices, base, weights }, cx)
  const quantizers = initial.quantizers.map((q) => (q.quantizer.name === 'fixed' ? { ...q, observer } : q))
  const { scheme, seed } = settings
  const record = {
    ...({ format: 'fewbit-qfloat', version: 1, target: target.name, scheme, seed } as const),
    ...{ batchNorm, plan, norms, quantizers, held: {}, recipe },
    ...(target.engine && { engine: target.engine }),
    parameters: learnedParameters(base, run.ops),
  }
  return writeQFloat(base, record, initial.state, cx)
}

function refusePrepared(model: Model): void {
  if (!isQFloat(model)) return
  throw problem('QAT_PREPARED', 'the network has fake-quantizers already', {
    fix: 'start from the float network, or take them out first: liftToFloat',
  })
}

/** The network with BatchNormalization behind its layers, where the strategy or the deployed network keep any. */
async function unfold(
  model: Model,
  float: Model,
  { settings, target, strategy, without }: QatRequest,
  run: Run,
): Promise<Unfolded> {
  if (strategy.kind === 'merged' || without.length > 0) return { model: float, norms: [], merged: [] }
  // The same network once more: what it has to say has been said.
  const separate = await prepare(model, target, new Run(run.options), float.opset(), settings.scheme, FOLDING)
  const unfolded = unfoldNorms(float, separate, run.ops)
  const [first] = unfolded.merged
  if (first !== undefined) {
    const many = unfolded.merged.length > 1 ? ` and ${unfolded.merged.length - 1} more` : ''
    run.diagnostics.info(
      'QAT_MERGED',
      `"${first}"${many} stay folded: they are folded together with something else, or into a layer behind them`,
      {
        at: { node: first },
      },
    )
  }
  return unfolded
}

function ownWeights({ model, norms }: Unfolded): ReadonlyMap<string, Tensor> {
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  return new Map(
    norms.map(
      ({ layer, weight }) => [weight, must(nodes.get(layer)?.inputs[1]?.constant, `weight "${weight}"`)] as const,
    ),
  )
}
