import { chooseAlgorithms } from '../algorithms/index.ts'
import { type Observers, observerOptions } from '../observers/index.ts'
import { defaultScheme } from '../quant/index.ts'
import { findTarget } from '../targets/index.ts'
import { problem } from '../util/index.ts'
import { parseSettings, type QuantizeSettings, quantizeSettings } from './options.ts'
import type { PlanOptions, QuantizeOptions } from './quantize.ts'
import { replayedSettings } from './replay.ts'
import type { Run } from './run.ts'

type DataParts = 'calibration' | 'evaluation' | 'recipe' | 'allowOtherData' | 'checkpoint' | 'resume'

/** The plain-data part of the options, checked and completed. */
export function settingsOf(
  options: PlanOptions & Partial<Pick<QuantizeOptions, DataParts>>,
  run: Run,
): QuantizeSettings {
  const { engine: _e, signal: _s, onProgress: _p, ops: _o, extensions: _x, ...own } = options
  const { calibration, evaluation, recipe, allowOtherData: _a, checkpoint: _c, resume: _r, ...rest } = own
  const { data: _d, dataFree: _n, ...calibrate } = calibration ?? {}
  const stated = { ...rest, ...calibrate }
  const given = recipe ? replayedSettings(recipe, stated) : stated
  const metrics = evaluation?.metrics
  const known = quantizeSettings(run.registries.observers)
  const parsed = parseSettings(known, { ...given, ...(metrics ? { metrics } : {}) })
  checkObserverOptions(parsed.observer, parsed.observerOptions, run.registries.observers)
  chooseAlgorithms(parsed.algorithms, run.registries.algorithms)
  return { ...parsed, scheme: parsed.scheme ?? defaultScheme(findTarget(parsed.target, run.registries.targets)) }
}

/** @throws FewbitError OBSERVER_OPTION for options of no observer in particular, and those that the observer does not have. */
function checkObserverOptions(observer: string, options: Record<string, unknown>, observers: Observers): void {
  if (Object.keys(options).length === 0) return
  if (observer !== 'auto') {
    observerOptions(observer, options, observers)
    return
  }
  const fix = `name the observer that has ${Object.keys(options).join(', ')}`
  throw problem('OBSERVER_OPTION', 'observer options need an observer', { at: { option: 'observerOptions' }, fix })
}
