import type { PassName } from '../../passes/index.ts'
import { type BatchNormStrategy, batchNormStrategy, type Choices } from '../../qat/index.ts'
import type { Formats, Target } from '../../quant/index.ts'
import { targetAtBits } from '../../targets/index.ts'
import { targetOf } from '../make-plan.ts'
import type { QuantizeSettings } from '../options.ts'
import type { QuantizeOptions } from '../quantize.ts'
import type { Run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import {
  choicesOf,
  formatsOf,
  type PlannedQatOptions,
  type PrepareQatOptions,
  weightObserverFor,
} from './qat-options.ts'

/** What folds BatchNormalization into layers, or makes a layer of it. */
export const FOLDING: readonly PassName[] = ['fold-batchnorm', 'fold-batchnorm-forward', 'batchnorm-to-conv']

/** What is asked of `prepareQat`, with every default. */
export interface QatRequest {
  readonly options: QuantizeOptions
  readonly settings: QuantizeSettings
  readonly target: Target
  readonly choices: Choices
  readonly strategy: BatchNormStrategy
  readonly formats: Formats
  /** Passes that preparing leaves out. */
  readonly without: readonly PassName[]
}

/** @throws FewbitError QAT_BATCH_NORM, FAKE_QUANTIZER_*, SPEC_*, OPTION_* */
export function requestOf(options: PrepareQatOptions | PlannedQatOptions, run: Run): QatRequest {
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
  const { observer = 'mse', ...calibration } = plain.calibration ?? {}
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
