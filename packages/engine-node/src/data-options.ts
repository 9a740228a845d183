import type { PreprocessOptions } from '@fewbit/core/engine'
import type { Diagnostics } from '@fewbit/core/util'

/** How data is read, whatever its format. */
export interface DataOptions extends PreprocessOptions {
  /** Use only this many samples, evenly spread over the whole set. */
  readonly samples?: number
  /** `skip` leaves unreadable images out, with a diagnostic each; the default is to stop. */
  readonly onError?: 'throw' | 'skip'
  readonly diagnostics?: Diagnostics
  /** For generated data. */
  readonly seed?: number
  /** Sizes of open dimensions, for generated data. */
  readonly dims?: Readonly<Record<string, number>>
}

/** The preprocessing part of the options. */
export function preprocessOf(options: DataOptions): PreprocessOptions {
  const { samples: _s, onError: _o, diagnostics: _d, seed: _r, dims: _n, ...preprocess } = options
  return preprocess
}

/** The options with a number of samples that the caller of `open` asks for; the user's own is not exceeded. */
export function atMost(options: DataOptions, samples: number | undefined): DataOptions {
  if (samples === undefined) return options
  return { ...options, samples: Math.min(samples, options.samples ?? samples) }
}

/** Indices of `count` items evenly spread over `total`; all of them by default. */
export function spread(total: number, count = total): number[] {
  const n = Math.min(total, count)
  return Array.from({ length: n }, (_, i) => Math.floor((i * total) / n))
}
