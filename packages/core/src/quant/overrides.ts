import { type FewbitError, problem } from '../util/index.ts'
import type { Override } from './plan.ts'
import { parseScheme } from './scheme.ts'

const GRANULARITIES = ['tensor', 'channel', 'group'] as const

/**
 * Reads `CONDITIONS:SETTINGS`, each a comma-separated list. Conditions: `name=conv1` (exact), `name=/^fc/` (pattern),
 * `op=Softmax`, `from=conv5`, `to=head` (nodes on the way from one to the other). Settings: a scheme (`float`, `w8a16`), `observer=mse`, `granularity=tensor`.
 *
 * `name=/^fc/:float`, `op=Softmax:float`, `name=conv1:observer=mse`, `op=Conv,name=/head/:w8a16,observer=percentile`
 * @throws FewbitError OVERRIDE_SYNTAX showing what is expected and where.
 */
export function parseOverride(text: string): Override {
  const [conditions, settings] = splitOutsidePatterns(text, ':')
  if (conditions === undefined || settings === undefined) throw syntax(text, 'a colon must separate whom from what')
  return { match: parseConditions(conditions, text), ...parseSettings(settings, text) }
}

function parseConditions(part: string, text: string): Override['match'] {
  let match: Override['match'] = {}
  for (const item of splitOutsidePatterns(part, ',')) {
    const [key, value] = splitOnce(item, '=')
    if (!value) throw syntax(text, `"${item}" is not a condition such as name=conv1`)
    if (key === 'name') match = { ...match, name: parsePattern(value, text) }
    else if (key === 'op' || key === 'from' || key === 'to') match = { ...match, [key]: value }
    else throw syntax(text, `"${key}" is not something to match by; use name, op, from or to`)
  }
  return match
}

function parseSettings(part: string, text: string): Omit<Override, 'match'> {
  let settings: Omit<Override, 'match'> = {}
  for (const item of part.split(',').map((s) => s.trim())) {
    const [key, value] = splitOnce(item, '=')
    if (value === undefined) settings = { ...settings, scheme: parseScheme(key).name }
    else if (key === 'observer' && value) settings = { ...settings, observer: value }
    else if (key === 'granularity') settings = { ...settings, granularity: granularity(value, text) }
    else throw syntax(text, `"${item}" is not a setting`)
  }
  return settings
}

function granularity(value: string, text: string): (typeof GRANULARITIES)[number] {
  const found = GRANULARITIES.find((g) => g === value)
  if (!found) throw syntax(text, `granularity is one of ${GRANULARITIES.join(', ')}`)
  return found
}

function parsePattern(value: string, text: string): RegExp | string {
  const [, source, flags] = /^\/(.+)\/([imsu]*)$/.exec(value) ?? []
  if (source === undefined) return value
  try {
    return new RegExp(source, flags)
  } catch (cause) {
    throw syntax(text, `${value} is not a regular expression: ${(cause as Error).message}`)
  }
}

/** `/pattern/flags` up to a separator. Exporters write names with slashes too; those do not end in one. */
const PATTERN = /^\/.+?\/[imsu]*(?=\s*(?:[:,]|$))/

/** Splits at the separator, except inside `/…/`, where colons and commas belong to the pattern. */
function splitOutsidePatterns(text: string, separator: ':' | ','): string[] {
  const parts = ['']
  for (let i = 0; i < text.length; ) {
    const pattern = text[i - 1] === '=' ? PATTERN.exec(text.slice(i))?.[0] : undefined
    const piece = pattern ?? (text[i] as string)
    if (piece === separator) parts.push('')
    else parts[parts.length - 1] += piece
    i += piece.length
  }
  return parts.map((part) => part.trim())
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text.trim(), undefined] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

const syntax = (text: string, why: string): FewbitError =>
  problem('OVERRIDE_SYNTAX', `the override "${text}" cannot be read: ${why}`, {
    at: { option: 'override' },
    fix: 'write it like name=/^fc/:float, op=Softmax:float or name=conv1:observer=mse',
  })

/** True if the override speaks of a node of this name and type, as far as these tell. */
export function matches({ match }: Override, name: string, opType: string): boolean {
  const byName =
    match.name === undefined ||
    (typeof match.name === 'string' ? match.name === name : matchesPattern(match.name, name))
  return byName && (match.op === undefined || match.op === opType)
}

/** `search` ignores `lastIndex`, which makes `test` remember its last call under the flags g and y. */
const matchesPattern = (pattern: RegExp, name: string): boolean => name.search(pattern) >= 0

/** An override in the words that it is written in. */
export function overrideText({ match, scheme, observer, granularity }: Override): string {
  const name = match.name === undefined ? [] : [`name=${match.name}`]
  const others = (['op', 'from', 'to'] as const).flatMap((key) =>
    match[key] === undefined ? [] : `${key}=${match[key]}`,
  )
  const settings = [scheme, observer && `observer=${observer}`, granularity && `granularity=${granularity}`]
  return `${[...name, ...others].join(',')}:${settings.filter(Boolean).join(',')}`
}
