import { cloneModel, type Model, type Tensor, type Value } from '../ir/index.ts'
import { defaultOps, type OpRegistry, weightAxis } from '../ops/index.ts'
import { isFloat, must, nearestNames, problem } from '../util/index.ts'
import { fitted, type Layout } from './fitted.ts'
import { type NameMap, renamer } from './name-map.ts'

export interface LoadWeightsOptions {
  /** Names in the file that are others in the model. */
  readonly map?: NameMap
  /** `pytorch`: matrices have output channels first, as in a state_dict; `onnx`: they lie as in the model. Default `pytorch`. */
  readonly layout?: Layout
  /** True leaves parameters as they are that the file lacks or has in another shape. Default: that is an error. */
  readonly partial?: boolean
  readonly ops?: OpRegistry
}

/** What became of each parameter of a model and each tensor of a file. JSON. */
export interface WeightsReport {
  readonly loaded: readonly { readonly name: string; readonly from: string }[]
  /** Parameters that the file does not have, with names in it that are left over and look alike. */
  readonly missing: readonly {
    readonly name: string
    readonly dims: readonly number[]
    readonly nearest: readonly string[]
  }[]
  readonly mismatched: readonly Mismatch[]
  /** Tensors of the file that the model has no place for. */
  readonly unused: readonly string[]
}

/** Sizes are those of the file's layout. */
export interface Mismatch {
  readonly name: string
  readonly from: string
  readonly expected: readonly number[]
  readonly found: readonly number[]
}

/**
 * A copy of a model with the weights of a file: every float initializer takes the tensor of its name, converted to its type. BatchNormalization's
 * statistics are initializers as others; counters such as `num_batches_tracked` are left out without a word.
 * @throws FewbitError WEIGHTS_INCOMPLETE where parameters are missing or of another shape, unless `partial`; where nothing fits, in any case;
 *   WEIGHTS_MAP, WEIGHTS_TWICE.
 */
export function loadWeights(
  model: Model,
  tensors: ReadonlyMap<string, Tensor>,
  options: LoadWeightsOptions = {},
): { readonly model: Model; readonly report: WeightsReport } {
  const copy = cloneModel(model)
  const named = renamed(tensors, renamer(options.map ?? {}))
  const loading = new Loading(copy, named, options)
  for (const value of copy.graph.initializers) loading.load(value)
  const report = loading.report()
  if (report.loaded.length === 0 || !(options.partial || complete(report))) throw incomplete(report, tensors)
  return { model: copy, report }
}

interface Named {
  readonly from: string
  readonly tensor: Tensor
}

function renamed(tensors: ReadonlyMap<string, Tensor>, rename: (name: string) => string): Map<string, Named> {
  const named = new Map<string, Named>()
  for (const [from, tensor] of tensors) {
    const name = rename(from)
    const other = named.get(name)
    if (other)
      throw problem('WEIGHTS_TWICE', `"${other.from}" and "${from}" both become "${name}"`, { at: { option: 'map' } })
    named.set(name, { from, tensor })
  }
  return named
}

class Loading {
  readonly #model: Model
  readonly #named: ReadonlyMap<string, Named>
  readonly #options: LoadWeightsOptions
  readonly #loaded: { name: string; from: string }[] = []
  readonly #mismatched: Mismatch[] = []
  readonly #missing: Value[] = []

  constructor(model: Model, named: ReadonlyMap<string, Named>, options: LoadWeightsOptions) {
    this.#model = model
    this.#named = named
    this.#options = options
  }

  load(value: Value): void {
    const constant = value.constant
    if (!constant || !isFloat(constant.dtype)) return
    const found = this.#named.get(value.name)
    if (!found || !isFloat(found.tensor.dtype)) {
      // Numbers without axes are settings such as a Clip's bounds.
      if (constant.dims.length > 0) this.#missing.push(value)
      return
    }
    const { from, tensor } = found
    const { name } = value
    const turned = this.#turned(value)
    const fits = fitted(tensor, constant, turned)
    if (fits) {
      value.constant = fits
      this.#loaded.push({ name, from })
    } else {
      const expected = turned ? constant.dims.toReversed() : constant.dims
      this.#mismatched.push({ name, from, expected, found: tensor.dims })
    }
  }

  /** Whether PyTorch has this matrix the other way round: its output channels come first there. */
  #turned(value: Value): boolean {
    const { layout = 'pytorch', ops = defaultOps } = this.#options
    const rank = must(value.constant, 'tensor').dims.length
    if (layout === 'onnx' || rank !== 2) return false
    return value.uses().some(({ node, index }) => index === 1 && weightAxis(node, rank, this.#model, ops) === 1)
  }

  report(): WeightsReport {
    const taken = new Set([...this.#loaded, ...this.#mismatched].map(({ from }) => from))
    const left = [...this.#named].filter(([, { from, tensor }]) => {
      return !taken.has(from) && isFloat(tensor.dtype) && !from.endsWith('num_batches_tracked')
    })
    const names = left.map(([name]) => name)
    return {
      loaded: this.#loaded,
      missing: this.#missing.map(({ name, constant }) => {
        return { name, dims: must(constant, 'tensor').dims, nearest: nearestNames(name, names) }
      }),
      mismatched: this.#mismatched,
      unused: left.map(([, { from }]) => from),
    }
  }
}

const complete = ({ missing, mismatched }: WeightsReport): boolean => missing.length + mismatched.length === 0

const LISTED = 5

/** One line for each parameter that a file leaves as it is, the first few only. */
export function incompleteNotes({ missing, mismatched }: WeightsReport): string[] {
  const lines = [
    ...mismatched.map(({ name, expected, found }) => `${name} is ${size(expected)}, and in the file ${size(found)}`),
    ...missing.map(({ name, nearest }) => `${name} is not in the file${near(nearest)}`),
  ]
  const more = lines.length - LISTED
  return more > 0 ? [...lines.slice(0, LISTED), `and ${more} more`] : lines
}

const size = (dims: readonly number[]): string => `[${dims.join('×')}]`
const near = (names: readonly string[]): string => (names.length > 0 ? `, which has ${names.join(' and ')}` : '')

function incomplete(report: WeightsReport, tensors: ReadonlyMap<string, Tensor>): Error {
  const { loaded, missing, mismatched } = report
  const wanted = loaded.length + missing.length + mismatched.length
  const message =
    loaded.length === 0
      ? `none of the ${tensors.size} tensors of the file fits a parameter of the model`
      : `the file has ${loaded.length} of the model's ${wanted} parameters`
  const prefix = commonPrefix(report)
  const fix =
    prefix === undefined
      ? 'rename with a map, or load what fits with "partial"'
      : `the names of the file begin with "${prefix}": map "${prefix}*" to "*"`
  return problem('WEIGHTS_INCOMPLETE', message, { notes: incompleteNotes(report), fix, data: { ...report } })
}

/** What stands before every left-over name of the file, where the rest is a name that is missing: `module.` of DataParallel, say. */
function commonPrefix({ missing, unused }: WeightsReport): string | undefined {
  const [first] = unused
  const hit = first === undefined ? undefined : missing.find(({ name }) => first.endsWith(name))
  const prefix = hit && first?.slice(0, -hit.name.length)
  return prefix && unused.every((name) => name.startsWith(prefix)) ? prefix : undefined
}
