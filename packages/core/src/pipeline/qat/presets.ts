import type { RangeObserver } from '../../qat/index.ts'
import { problem } from '../../util/index.ts'
import type { PlannedQatOptions, PrepareQatOptions } from './qat-options.ts'

/** A named set of options: MegEngine's QConfigs, in terms of fewbit. Codes and their ends are the target's. */
export interface QatPreset {
  readonly title: string
  readonly options: Pick<PrepareQatOptions, 'fakeQuantizer' | 'scheme' | 'weightObserver' | 'rangeObserver'> & {
    /** Default: the fake-quantizer's own. */
    readonly observer?: string
  }
}

const EMA: RangeObserver = { kind: 'ema', momentum: 0.9 }
const SOURCE_RANGES = { fakeQuantizer: 'fixed', weightObserver: 'minmax' } as const

export const QAT_PRESETS = {
  'min-max': {
    title: 'the least and the greatest of all that passed, also while training',
    options: { ...SOURCE_RANGES, observer: 'minmax', rangeObserver: { kind: 'minmax' } },
  },
  ema: {
    title: 'moving averages of the ranges of batches, also while training',
    options: { ...SOURCE_RANGES, observer: 'ema-minmax', rangeObserver: EMA },
  },
  'ema-lowbit': {
    title: 'the same in 4 bits',
    options: { ...SOURCE_RANGES, observer: 'ema-minmax', rangeObserver: EMA, scheme: 'w4a4' },
  },
  calibration: {
    title: 'ranges of least squared error, which stay',
    options: { ...SOURCE_RANGES, observer: 'mse' },
  },
  tqt: {
    title: 'trained powers of two, from minima and maxima',
    options: { fakeQuantizer: 'tqt', observer: 'minmax', weightObserver: 'minmax' },
  },
  easyquant: {
    title: 'minima and maxima, for easyQuant to scale, which stay while training',
    options: { ...SOURCE_RANGES, observer: 'minmax' },
  },
  lsq: {
    title: 'trained scales, from where LSQ begins',
    options: { fakeQuantizer: 'lsq' },
  },
} satisfies Record<string, QatPreset>

export type QatPresetName = keyof typeof QAT_PRESETS

/** @throws FewbitError QAT_PRESET for a name that is none of these. */
export function presetNamed(name: string): QatPreset {
  const found: QatPreset | undefined = Object.hasOwn(QAT_PRESETS, name) ? QAT_PRESETS[name as QatPresetName] : undefined
  if (found) return found
  throw problem('QAT_PRESET', `there is no preset "${name}"`, {
    at: { option: 'preset' },
    fix: `choose one of ${Object.keys(QAT_PRESETS).join(', ')}`,
  })
}

/** The options with those of their preset in the places that were left open. */
export function withPreset(options: PrepareQatOptions | PlannedQatOptions): PrepareQatOptions | PlannedQatOptions {
  const { preset, ...given } = options
  if (preset === undefined) return given
  const { observer, ...rest } = presetNamed(preset).options
  return { ...rest, ...given, calibration: { ...(observer && { observer }), ...given.calibration } }
}
