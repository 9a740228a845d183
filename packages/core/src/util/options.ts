import { problem } from './diagnostics.ts'

export type OptionValue = number | boolean | string

/** One option of something that users ask for by name, as help, documentation and checks see it. */
export interface OptionSpec<V extends OptionValue = OptionValue> {
  readonly summary: string
  readonly default: V
  /** Bounds of a number, both allowed. */
  readonly least?: number
  readonly most?: number
  /** The words that a text option takes. */
  readonly choices?: readonly V[]
}

/** What a thing declares for options of these types. */
export type OptionsOf<O extends object> = {
  readonly [K in keyof O]: O[K] extends OptionValue ? OptionSpec<O[K]> : never
}

export type OptionTable = Readonly<Record<string, OptionSpec>>
export type OptionValues = Readonly<Record<string, OptionValue>>

/** Something with options: an algorithm, an optimizer, an augmentation. */
export interface Optioned {
  readonly name: string
  readonly options: OptionTable
}

/** What somebody asks for by name, with the options that are not the default. JSON. */
export interface NamedRequest {
  readonly name: string
  readonly options?: OptionValues
}

/** What things of one kind are called: `algorithm` gives the codes ALGORITHM_UNKNOWN and ALGORITHM_OPTION, and `--algorithm`. */
export interface OptionedKind {
  readonly noun: string
  readonly code: string
  readonly option: string
}

/** @throws FewbitError CODE_UNKNOWN naming the choices. */
export function namedIn<T>(kind: OptionedKind, name: string, registry: Readonly<Record<string, T>>): T {
  const found = Object.hasOwn(registry, name) ? registry[name] : undefined
  if (found) return found
  throw problem(`${kind.code}_UNKNOWN`, `there is no ${kind.noun} "${name}"`, {
    at: { option: kind.option },
    fix: `choose one of ${Object.keys(registry).join(', ')}`,
  })
}

/**
 * Reads `name`, or `name:key=value,…`. A bare word stands for the option that it is a value of (`bias-correction:analytic`), or switches
 * on the option of that name.
 * @throws FewbitError CODE_UNKNOWN, CODE_OPTION
 */
export function parseRequest(
  kind: OptionedKind,
  text: string,
  registry: Readonly<Record<string, Pick<Optioned, 'options'>>>,
): NamedRequest {
  const [first = '', ...rest] = text.split(':')
  const name = first.trim()
  const { options } = namedIn(kind, name, registry)
  const parts = rest.join(':').split(',').filter(Boolean)
  const given = parts.map((part) => parseOption(kind, name, part.trim(), options))
  return given.length > 0 ? { name, options: Object.fromEntries(given) } : { name }
}

function parseOption(
  kind: OptionedKind,
  name: string,
  part: string,
  options: OptionTable,
): readonly [string, OptionValue] {
  const [key = '', ...rest] = part.split('=')
  if (rest.length > 0) return [key, typed(rest.join('='), options[key])]
  const owner = Object.entries(options).find(([, { choices }]) => choices?.includes(part))
  if (owner) return [owner[0], part]
  if (typeof options[part]?.default === 'boolean') return [part, true]
  throw badOption(kind, name, `"${part}" is neither a switch nor a value of an option`, part, options)
}

/** Text as the type that the option has; what does not fit is refused with the name of the option later. */
function typed(text: string, option: OptionSpec | undefined): OptionValue {
  const type = typeof option?.default
  if (type === 'number' && text !== '' && Number.isFinite(Number(text))) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

/**
 * Defaults with a user's options over them.
 * @throws FewbitError CODE_OPTION for an option that it does not have or a value that it does not take.
 */
export function checkedOptions(
  kind: OptionedKind,
  { name, options }: Optioned,
  given: Readonly<Record<string, unknown>> = {},
): Record<string, OptionValue> {
  for (const [key, value] of Object.entries(given)) {
    const option = Object.hasOwn(options, key) ? options[key] : undefined
    if (!option) throw badOption(kind, name, `there is no option "${key}"`, key, options)
    const complaint = complaintOf(value, option)
    if (complaint) throw badOption(kind, name, `option "${key}" ${complaint}, not ${String(value)}`, key, options)
  }
  const defaults = Object.entries(options).map(([key, option]) => [key, option.default])
  return { ...Object.fromEntries(defaults), ...(given as OptionValues) }
}

function complaintOf(value: unknown, option: OptionSpec): string | undefined {
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

const badOption = (kind: OptionedKind, name: string, message: string, option: string, table: OptionTable) =>
  problem(`${kind.code}_OPTION`, `${kind.noun} ${name}: ${message}`, {
    at: { option },
    fix: Object.keys(table).length > 0 ? `its options: ${Object.keys(table).join(', ')}` : 'it has no options',
  })
