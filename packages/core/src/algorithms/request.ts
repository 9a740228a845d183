import { problem } from '../util/index.ts'
import type { Algorithm, AlgorithmOption, OptionValue } from './algorithm.ts'
import { ALGORITHM_STAGES } from './algorithm.ts'
import { ALGORITHMS, type Algorithms } from './registry.ts'

/** An algorithm that somebody asks for, with the options that are not the default. JSON. */
export interface AlgorithmRequest {
  readonly name: string
  readonly options?: Readonly<Record<string, OptionValue>>
}

/** An algorithm with all its options. */
export interface ChosenAlgorithm {
  readonly algorithm: Algorithm
  readonly options: Readonly<Record<string, OptionValue>>
}

/** @throws FewbitError ALGORITHM_UNKNOWN naming the choices. */
export function algorithmNamed(name: string, algorithms: Algorithms = ALGORITHMS): Algorithm {
  const algorithm = Object.hasOwn(algorithms, name) ? algorithms[name] : undefined
  if (algorithm) return algorithm
  const known = Object.keys(algorithms).join(', ')
  throw problem('ALGORITHM_UNKNOWN', `there is no algorithm "${name}"`, {
    at: { option: 'algorithm' },
    fix: `choose one of ${known}`,
  })
}

/**
 * Reads `name`, or `name:key=value,…`. A bare word stands for the option that it is a value of (`bias-correction:analytic`), or switches
 * on the option of that name.
 * @throws FewbitError ALGORITHM_UNKNOWN, ALGORITHM_OPTION
 */
export function parseAlgorithm(text: string, algorithms: Algorithms = ALGORITHMS): AlgorithmRequest {
  const [name = '', ...rest] = text.split(':')
  const { options } = algorithmNamed(name.trim(), algorithms)
  const parts = rest.join(':').split(',').filter(Boolean)
  const given = parts.map((part) => parseOption(name, part.trim(), options))
  return given.length > 0 ? { name: name.trim(), options: Object.fromEntries(given) } : { name: name.trim() }
}

type OptionTable = Readonly<Record<string, AlgorithmOption>>

function parseOption(algorithm: string, part: string, options: OptionTable): readonly [string, OptionValue] {
  const [key = '', ...rest] = part.split('=')
  if (rest.length > 0) return [key, typed(rest.join('='), options[key])]
  const owner = Object.entries(options).find(([, { choices }]) => choices?.includes(part))
  if (owner) return [owner[0], part]
  if (typeof options[part]?.default === 'boolean') return [part, true]
  throw badOption(algorithm, `"${part}" is neither a switch nor a value of an option`, part, options)
}

/** Text as the type that the option has; what does not fit is refused with the name of the option later. */
function typed(text: string, option: AlgorithmOption | undefined): OptionValue {
  const kind = typeof option?.default
  if (kind === 'number' && text !== '' && Number.isFinite(Number(text))) return Number(text)
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/**
 * The algorithms that were asked for in the order in which they run: by stage, and within a stage as the registry has them.
 * @throws FewbitError ALGORITHM_UNKNOWN, ALGORITHM_OPTION; ALGORITHM_TWICE
 */
export function chooseAlgorithms(
  requests: readonly AlgorithmRequest[],
  algorithms: Algorithms = ALGORITHMS,
): ChosenAlgorithm[] {
  const byName = new Map<string, ChosenAlgorithm>()
  for (const { name, options } of requests) {
    const algorithm = algorithmNamed(name, algorithms)
    if (byName.has(name)) {
      throw problem('ALGORITHM_TWICE', `algorithm ${name} is asked for twice`, { at: { option: 'algorithm' } })
    }
    byName.set(name, { algorithm, options: checkedOptions(algorithm, options) })
  }
  const ordered = Object.keys(algorithms).flatMap((name) => byName.get(name) ?? [])
  return ALGORITHM_STAGES.flatMap((stage) => ordered.filter(({ algorithm }) => algorithm.stage === stage))
}

/**
 * An algorithm's defaults with a user's options over them.
 * @throws FewbitError ALGORITHM_OPTION for an option that it does not have or a value that it does not take.
 */
export function checkedOptions(
  { name, options }: Pick<Algorithm, 'name' | 'options'>,
  given: Readonly<Record<string, unknown>> = {},
): Record<string, OptionValue> {
  const table: OptionTable = options
  for (const [key, value] of Object.entries(given)) {
    const option = Object.hasOwn(table, key) ? table[key] : undefined
    if (!option) throw badOption(name, `there is no option "${key}"`, key, table)
    const complaint = complaintOf(value, option)
    if (complaint) throw badOption(name, `option "${key}" ${complaint}, not ${String(value)}`, key, table)
  }
  const defaults = Object.entries(table).map(([key, option]) => [key, option.default])
  return { ...Object.fromEntries(defaults), ...(given as Record<string, OptionValue>) }
}

function complaintOf(value: unknown, option: AlgorithmOption): string | undefined {
  const { default: standard, choices, least = -Infinity, most = Infinity } = option
  if (typeof value !== typeof standard) return `must be a ${typeof standard}`
  if (choices && !choices.includes(value as OptionValue)) return `must be one of ${choices.join(', ')}`
  if (typeof value !== 'number') return undefined
  return value >= least && value <= most ? undefined : `must be ${boundsText(least, most)}`
}

function boundsText(least: number, most: number): string {
  if (most === Infinity) return `at least ${least}`
  return least === -Infinity ? `at most ${most}` : `from ${least} to ${most}`
}

const badOption = (algorithm: string, message: string, option: string, table: OptionTable) =>
  problem('ALGORITHM_OPTION', `algorithm ${algorithm}: ${message}`, {
    at: { option },
    fix: Object.keys(table).length > 0 ? `its options: ${Object.keys(table).join(', ')}` : 'it has no options',
  })

/** An algorithm as a table shows it. JSON. */
export interface AlgorithmInfo {
  readonly name: string
  readonly title: string
  readonly stage: string
  readonly summary: string
  readonly source: string
  readonly options: Readonly<Record<string, AlgorithmOption>>
}

/** The algorithms that there are, in the order in which they run. */
export function describeAlgorithms(algorithms: Algorithms = ALGORITHMS): AlgorithmInfo[] {
  const all = Object.values(algorithms).map(({ name, title, stage, summary, source, options }) => {
    return { name, title, stage, summary, source, options: { ...(options as OptionTable) } }
  })
  return ALGORITHM_STAGES.flatMap((stage) => all.filter((info) => info.stage === stage))
}
