import { problem } from '../util/index.ts'
import { formatType, type ModelInput } from './inputs.ts'

/** Array names that hold class indices. */
const LABELS = ['y', 'labels', 'label']
/** Array names that hold the data where a model has one input. */
const DATA = ['x', 'images', 'data', 'arr_0']

export interface Binding {
  /** Model input → array. */
  readonly arrays: ReadonlyMap<string, string>
  readonly labels: string | undefined
}

/**
 * Decides which arrays of a file feed which inputs: by name; for a single input also by the usual names, or because one
 * array is left.
 * @throws FewbitError DATA_INPUT naming what is missing and what there is.
 */
export function bindArrays(arrays: readonly string[], inputs: readonly ModelInput[], file?: string): Binding {
  const labels = LABELS.find((name) => arrays.includes(name) && !inputs.some((input) => input.name === name))
  const candidates = arrays.filter((name) => name !== labels)
  const bound = new Map<string, string>()
  for (const input of inputs) {
    const array = candidates.includes(input.name) ? input.name : inputs.length === 1 ? onlyData(candidates) : undefined
    if (array === undefined) throw unbound(input, arrays, file)
    bound.set(input.name, array)
  }
  return { arrays: bound, labels }
}

const onlyData = (arrays: readonly string[]): string | undefined =>
  DATA.find((name) => arrays.includes(name)) ?? (arrays.length === 1 ? arrays[0] : undefined)

function unbound(input: ModelInput, arrays: readonly string[], file: string | undefined): Error {
  const has = arrays.length === 0 ? 'no arrays' : `arrays ${arrays.join(', ')}`
  return problem(
    'DATA_INPUT',
    `no array feeds input "${input.name}" ${formatType(input.dtype, input.shape)}: there are ${has}`,
    {
      at: file === undefined ? { value: input.name } : { file, value: input.name },
      fix: `save the data under the name "${input.name}"`,
    },
  )
}
