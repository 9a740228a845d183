import { type Diagnostic, FewbitError } from '@fewbit/core'
import { optionHint } from '@fewbit/core/util'

/** The names of all options of a verb. Typed so that one which is missing here does not compile. */
export type OptionNames<O> = Readonly<Record<keyof O & string, true>>

/**
 * Refuses options that do not exist, which would otherwise be ignored without a word.
 * @param path where the options stand, such as `calibration`; empty at the top.
 * @throws FewbitError OPTION_INVALID if they are no object; OPTION_UNKNOWN, one diagnostic for each unknown name, with the
 * nearest known one.
 */
export function checkOptions(given: unknown, known: OptionNames<object>, path = ''): void {
  if (typeof given !== 'object' || given === null) throw new FewbitError([noOptions(path, known)])
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(known, name))
  if (unknown.length > 0) throw new FewbitError(unknown.map((name) => unknownOption(name, known, path)))
}

function noOptions(path: string, known: OptionNames<object>): Diagnostic {
  const where = path || 'the options'
  const fix = `write { ${Object.keys(known).slice(0, 2).join(', ')}, … }`
  return { code: 'OPTION_INVALID', level: 'error', message: `${where} must be an object`, at: { option: path }, fix }
}

function unknownOption(name: string, known: OptionNames<object>, path: string): Diagnostic {
  const option = path ? `${path}.${name}` : name
  const message = `there is no option "${option}"`
  return { code: 'OPTION_UNKNOWN', level: 'error', message, at: { option }, fix: optionHint(name, Object.keys(known)) }
}
