import { checkedOptions, type OptionedKind, type OptionsOf, parseRequest } from '../util/index.ts'

export type OscillationMode = 'track' | 'freeze' | 'dampen'

export interface OscillationOptions {
  readonly mode: OscillationMode
  /** Of the averages of frequency and codes. */
  readonly momentum: number
  /** Frequency above which a weight is frozen, in the end and in the beginning. */
  readonly threshold: number
  readonly thresholdStart: number
  /** λ of dampening, in the end; it begins at 0. */
  readonly weight: number
}

type Own = Omit<OscillationOptions, 'mode'>

const OPTIONS: OptionsOf<Own> = {
  momentum: {
    summary: 'share of the newest step in averages of frequency and codes',
    default: 0.01,
    least: 1e-6,
    most: 1,
  },
  threshold: {
    summary: 'freeze: weights that turn more often than this, in the end',
    default: 0.01,
    least: 0,
    most: 1,
  },
  thresholdStart: { summary: 'freeze: the same in the beginning, if larger', default: 0.04, least: 0, most: 1 },
  weight: { summary: 'dampen: λ in the end; it grows from 0', default: 0.1, least: 0 },
}

/** What is done about weights that oscillate, by name. */
export const OSCILLATION_MODES: Readonly<
  Record<OscillationMode, { readonly name: OscillationMode; readonly options: OptionsOf<Own> }>
> = {
  track: { name: 'track', options: OPTIONS },
  freeze: { name: 'freeze', options: OPTIONS },
  dampen: { name: 'dampen', options: OPTIONS },
}

const KIND: OptionedKind = { noun: 'mode', code: 'OSCILLATION', option: 'oscillation' }

/**
 * Reads `track`, or `freeze:threshold=0.01,…`.
 * @throws FewbitError OSCILLATION_UNKNOWN, OSCILLATION_OPTION
 */
export function parseOscillation(text: string): OscillationOptions {
  const { name, options } = parseRequest(KIND, text, OSCILLATION_MODES)
  const mode = name as OscillationMode
  return { mode, ...(checkedOptions(KIND, OSCILLATION_MODES[mode], options) as unknown as Own) }
}
