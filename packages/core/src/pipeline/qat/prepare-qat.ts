import type { Model, Tensor } from '../../ir/index.ts'
import type { PassName } from '../../passes/index.ts'
import {
  type BatchNormStrategy,
  batchNormStrategy,
  type Choices,
  foldedConstants,
  initialQuantizers,
  isQFloat,
  type QFloat,
  type RangeObserver,
  type Unfolded,
  unfoldNorms,
  writeQFloat,
} from '../../qat/index.ts'
import type { Formats, Target } from '../../quant/index.ts'
import { targetAtBits } from '../../targets/index.ts'
import { learnedParameters } from '../../training/index.ts'
import { type Diagnostic, must, problem } from '../../util/index.ts'
import { targetOf } from '../make-plan.ts'
import type { QuantizeSettings } from '../options.ts'
import { prepare } from '../prepare.ts'
import type { QuantizeOptions } from '../quantize.ts'
import { Run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import { type CalibratedNetwork, planAndCalibrate } from './calibrate-qat.ts'
import { withPreset } from './presets.ts'
import { contextOf } from './qat-context.ts'
import {
  choicesOf,
  formatsOf,
  type PrepareQatOptions,
  refuseForeign,
  refuseObstacles,
  weightObserverFor,
} from './qat-options.ts'

export interface PrepareQatResult extends QFloat {
  readonly diagnostics: readonly Diagnostic[]
}

/** What folds BatchNormalization into layers, or makes a layer of it. */
const FOLDING: readonly PassName[] = ['fold-batchnorm', 'fold-batchnorm-forward', 'batchnorm-to-conv']

/**
 * Puts fake-quantizers into a float network, exactly where `quantize` would put quantizers for this target, beginning with calibrated ranges.
 * The caller's model is not changed.
 * @throws FewbitError QAT_OPTION, QAT_PREPARED, QAT_NOTHING, QAT_OBSTACLE, QAT_BATCH_NORM, FAKE_QUANTIZER_*, SPEC_*, CALIB_*, DATA_*, OPTION_*
 */
export async function prepareQat(model: Model, given: PrepareQatOptions): Promise<PrepareQatResult> {
  const options = withPreset(given)
  refuseForeign(options)
  refusePrepared(model)
  const run = new Run(options)
  const request = requestOf(options, run)
  const found = await planAndCalibrate(model, request, run)
  refuseObstacles(found.plan, request.choices, request.target, run)
  const unfolded = await unfold(found.raised, found.float, request, run)
  const qfloat = begin(found, unfolded, request, options.rangeObserver ?? null, run)
  return { ...qfloat, diagnostics: [...run.diagnostics.list, ...found.plan.diagnostics] }
}

/** Fake-quantizers as they begin. */
function begin(
  { plan, recipe, paramsWith }: CalibratedNetwork,
  unfolded: Unfolded,
  { settings, strategy, target, choices }: Request,
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

interface Request {
  readonly options: QuantizeOptions
  readonly settings: QuantizeSettings
  readonly target: Target
  readonly choices: Choices
  readonly strategy: BatchNormStrategy
  readonly formats: Formats
  /** Passes that preparing leaves out. */
  readonly without: readonly PassName[]
}

function requestOf(options: PrepareQatOptions, run: Run): Request {
  const { fakeQuantizer, weightQuantizer, batchNorm = 'fold-torch', strict = false, ...others } = options
  const { preset: _p, rangeObserver: _r, ...stated } = others
  const plain = strict ? stated : { ...stated, target: targetNameFor(settingsOf(stated, run), run) }
  const strategy = batchNormStrategy(batchNorm)
  const known = run.registries.fakeQuantizers
  const choices = choicesOf(
    { ...(fakeQuantizer ? { fakeQuantizer } : {}), ...(weightQuantizer ? { weightQuantizer } : {}) },
    known,
  )
  const { weights } = targetOf(settingsOf(plain, run), run)
  // Papers begin with their own estimate of the range (LSQ: 2·mean|x|/√q). Measured on w4a4 the smallest squared error begins 12 to 37 points higher.
  const { observer = 'mse', ...calibration } = plain.calibration
  const weightObserver = plain.weightObserver ?? weightObserverFor(choices.weight, weights, known) ?? 'minmax'
  const given = { ...plain, weightObserver, calibration: { ...calibration, observer } }
  const settings = settingsOf(given, run)
  const target = targetOf(settings, run)
  const isSeparate = strategy.kind === 'separate' && target.batchNorm === 'separate'
  const formats = formatsOf(choices, target, known)
  return { options: given, settings, target, choices, strategy, formats, without: isSeparate ? FOLDING : [] }
}

/** Nobody's kernels compute with 4 bits where papers, and networks of tomorrow's hardware, want them. */
function targetNameFor(settings: QuantizeSettings, run: Run): string {
  const given = targetOf(settings, run)
  const { target, beyond } = targetAtBits(given, settings.scheme)
  if (beyond) {
    run.diagnostics.warn(
      'QAT_BITS',
      `${given.title} has no kernels for ${settings.scheme}: its rules are taken at these bits`,
      {
        at: { option: 'scheme' },
        fix: 'take the figures for what its rules cost, not for what it runs; strict refuses such bits',
      },
    )
  }
  return target.name
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
  { settings, target, strategy, without }: Request,
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
