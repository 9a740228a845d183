import {
  checkedOptions,
  namedIn,
  type OptionedKind,
  type OptionSpec,
  type OptionsOf,
  parseRequest,
} from '../util/index.ts'

/** One entry of a registry of training, such as an optimizer: its facts, and what makes a record of it from options. */
export interface Definition<O extends object, T> {
  readonly name: string
  readonly title: string
  readonly summary: string
  /** Paper or document. */
  readonly source: string
  readonly options: OptionsOf<O>
  make(options: O): T
}

/** What a record is made from, so that it can be saved, compared and made again. */
export interface Recorded {
  readonly name: string
  toJSON(): RecordJson
}

export interface RecordJson {
  readonly name: string
  readonly options?: Readonly<Record<string, unknown>>
}

// Options differ from one definition to the next; what is given is checked against `options` before.
export type AnyDefinition<T> = Omit<Definition<never, T>, 'options'> & {
  readonly options: Readonly<Record<string, OptionSpec>>
}

export type Definitions<T> = Readonly<Record<string, AnyDefinition<T>>>

/**
 * The function that makes records of a definition: `sgd({ momentum: 0.9 })`.
 * @param kind what such things are called. The function throws CODE_OPTION for options that do not fit.
 */
export function maker<O extends object, T extends object>(
  kind: OptionedKind,
  definition: Definition<O, T>,
): (given?: Partial<O>) => T & Recorded {
  return (given = {}) => {
    const { name } = definition
    const options = checkedOptions(kind, { name, options: definition.options as never }, given)
    return { ...definition.make(options as O), name, toJSON: () => ({ name, options }) }
  }
}

/**
 * Reads `name` or `name:key=value,…`, as a command line has it.
 * @throws FewbitError CODE_UNKNOWN, CODE_OPTION
 */
export function parseRecord<T extends object>(
  kind: OptionedKind,
  definitions: Definitions<T>,
  text: string,
): T & Recorded {
  return readRecord(kind, definitions, parseRequest(kind, text, definitions))
}

/** The record that `toJSON` came from. @throws FewbitError CODE_UNKNOWN, CODE_OPTION */
export function readRecord<T extends object>(
  kind: OptionedKind,
  definitions: Definitions<T>,
  { name, options }: RecordJson,
): T & Recorded {
  return maker(kind, namedIn(kind, name, definitions) as Definition<object, T>)(options)
}
