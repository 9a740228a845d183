import {
  checkedOptions as checked,
  type NamedRequest,
  namedIn,
  type OptionedKind,
  type OptionTable,
  type OptionValue,
  type OptionValues,
  parseRequest,
  problem,
} from '../util/index.ts'
import { ALGORITHM_STAGES, type Algorithm } from './algorithm.ts'
import { ALGORITHMS, type Algorithms } from './registry.ts'

const KIND: OptionedKind = { noun: 'algorithm', code: 'ALGORITHM', option: 'algorithm' }

/** An algorithm that somebody asks for, with the options that are not the default. JSON. */
export type AlgorithmRequest = NamedRequest

/** An algorithm with all its options. */
export interface ChosenAlgorithm {
  readonly algorithm: Algorithm
  readonly options: OptionValues
}

/** @throws FewbitError ALGORITHM_UNKNOWN naming the choices. */
export const algorithmNamed = (name: string, algorithms: Algorithms = ALGORITHMS): Algorithm =>
  namedIn(KIND, name, algorithms)

/**
 * Reads `name`, or `name:key=value,…`, as `parseRequest` does.
 * @throws FewbitError ALGORITHM_UNKNOWN, ALGORITHM_OPTION
 */
export const parseAlgorithm = (text: string, algorithms: Algorithms = ALGORITHMS): AlgorithmRequest =>
  parseRequest(KIND, text, algorithms)

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
export const checkedOptions = (
  algorithm: Pick<Algorithm, 'name' | 'options'>,
  given: Readonly<Record<string, unknown>> = {},
): Record<string, OptionValue> => checked(KIND, algorithm, given)

/** An algorithm as a table shows it. JSON. */
export interface AlgorithmInfo {
  readonly name: string
  readonly title: string
  readonly stage: string
  readonly summary: string
  readonly source: string
  readonly options: OptionTable
}

/** The algorithms that there are, in the order in which they run. */
export function describeAlgorithms(algorithms: Algorithms = ALGORITHMS): AlgorithmInfo[] {
  const all = Object.values(algorithms).map(({ name, title, stage, summary, source, options }) => {
    return { name, title, stage, summary, source, options: { ...options } }
  })
  return ALGORITHM_STAGES.flatMap((stage) => all.filter((info) => info.stage === stage))
}
