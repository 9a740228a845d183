import type { QuantSpec, Range } from '../quant/index.ts'
import { invariant, problem } from '../util/index.ts'
import { aciqGauss } from './aciq-gauss.ts'
import { aciqLaplace } from './aciq-laplace.ts'
import { batchMean } from './batch-mean.ts'
import { clipStd } from './clip-std.ts'
import { constant } from './constant.ts'
import { cosine } from './cosine.ts'
import type { Observer, TensorStats } from './define.ts'
import { emaMinmax } from './ema-minmax.ts'
import { emaMse } from './ema-mse.ts'
import { emaQuantile } from './ema-quantile.ts'
import { entropy } from './entropy.ts'
import { isotone } from './isotone.ts'
import { leastSquares } from './least-squares.ts'
import { lp } from './lp.ts'
import { lsq } from './lsq.ts'
import { lsqPlus } from './lsq-plus.ts'
import { minmax } from './minmax.ts'
import { mse } from './mse.ts'
import { octav } from './octav.ts'
import { percentile } from './percentile.ts'
import { potMode } from './pot-mode.ts'
import { potSearch } from './pot-search.ts'

export { observeConstant } from './constants.ts'
export type { Observer, Statistic } from './define.ts'
export { entropy } from './entropy.ts'
export { minmax } from './minmax.ts'
export { mse } from './mse.ts'
export { type PercentileOptions, percentile } from './percentile.ts'

export const OBSERVERS = {
  minmax,
  'ema-minmax': emaMinmax,
  'batch-mean': batchMean,
  percentile,
  'ema-quantile': emaQuantile,
  entropy,
  mse,
  lp,
  'ema-mse': emaMse,
  octav,
  'least-squares': leastSquares,
  cosine,
  'clip-std': clipStd,
  'aciq-gauss': aciqGauss,
  'aciq-laplace': aciqLaplace,
  lsq,
  'lsq-plus': lsqPlus,
  'pot-search': potSearch,
  'pot-mode': potMode,
  isotone,
  constant,
} satisfies Record<string, Observer<object>>

export type ObserverName = keyof typeof OBSERVERS

/** Observers by name: the built-in ones, or those with what plugins add. */
export type Observers = Readonly<Record<string, Observer<object>>>

/** @throws FewbitError OBSERVER_UNKNOWN naming the choices. */
export function observerNamed(name: string, observers: Observers = OBSERVERS): Observer<object> {
  const observer = Object.hasOwn(observers, name) ? observers[name] : undefined
  if (observer) return observer
  const known = Object.keys(observers).join(', ')
  throw problem('OBSERVER_UNKNOWN', `there is no observer "${name}"`, { fix: `choose one of ${known}` })
}

/**
 * An observer's defaults with a user's options over them.
 * @throws FewbitError OBSERVER_UNKNOWN; OBSERVER_OPTION for an option that it does not have or that is not a finite number.
 */
export function observerOptions(
  name: string,
  given: Readonly<Record<string, unknown>> = {},
  observers: Observers = OBSERVERS,
): object {
  const { defaults } = observerNamed(name, observers)
  for (const [option, value] of Object.entries(given)) {
    const at = { option }
    if (!Object.hasOwn(defaults, option)) {
      const fix = `known options: ${Object.keys(defaults).join(', ') || 'none'}`
      throw problem('OBSERVER_OPTION', `observer ${name} has no option "${option}"`, { at, fix })
    }
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw problem('OBSERVER_OPTION', `option "${option}" of observer ${name} must be a number, not ${value}`, { at })
    }
  }
  return { ...defaults, ...given }
}

/** The range that the named observer chooses. */
export function observe(
  name: string,
  stats: TensorStats,
  spec: QuantSpec,
  options?: Readonly<Record<string, unknown>>,
  observers: Observers = OBSERVERS,
): Range {
  const range = observerNamed(name, observers).range(stats, spec, observerOptions(name, options, observers))
  const isValid = Number.isFinite(range.hi - range.lo) && range.lo <= 0 && range.hi >= 0
  invariant(isValid, () => `observer ${name} chose [${range.lo}, ${range.hi}]`)
  return range
}

/** An observer as a table shows it. JSON. */
export interface ObserverInfo {
  readonly name: string
  readonly summary: string
  /** What calibration collects for it, besides extremes. */
  readonly statistics: readonly string[]
  readonly options: Readonly<Record<string, number>>
}

/** The observers that there are, built in or brought by plugins. */
export function describeObservers(observers: Observers = OBSERVERS): ObserverInfo[] {
  return Object.values(observers).map(({ name, summary, wants, defaults }) => ({
    name,
    summary,
    statistics: wants.filter((statistic) => statistic !== 'minmax'),
    options: { ...defaults },
  }))
}
