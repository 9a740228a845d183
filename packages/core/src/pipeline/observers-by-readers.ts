import { asTensor, type Model } from '../ir/index.ts'
import { groupsOf, type QuantParams, type TensorPlan } from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { OutputErrors } from './output-error.ts'
import { tensorNoise } from './refine-observers.ts'
import type { SearchState } from './search.ts'
import type { ShadowError, ShadowTrial } from './shadow-layers.ts'

/** Groups of tensors that are looked at, those with the most quantization noise first. */
const GROUPS = 100
/** Steps and zero points closer than this share of the range are the same for all practical purposes. */
const SAME_RANGE = 0.02
/** A range that gains less, in dB, at the layers that read it, is not worth a change. */
const MIN_GAIN = 0.25
/** Below this share of the signal, errors are nothing. */
const EXACT = 1e-9
/** Trials of the whole network, each with half of the changes of the one before. */
const TRIALS = 3

/** What some tensors had better be measured by. */
interface Change {
  readonly values: readonly string[]
  readonly observer: string
  /** dB at the layers that read them. */
  readonly gain: number
}

/**
 * Chooses an observer for each group of tensors by the errors of the layers that read it, when only it and their weights are quantized. These
 * layers run on the float network's values, so that all ranges of all groups are judged in one pass; the outputs of the network have the last word.
 */
export async function chooseByReaders(state: SearchState): Promise<void> {
  const changes = await changesByReaders(state)
  for (let i = 0, count = changes.length; i < TRIALS && count > 0; i++, count = Math.floor(count / 2)) {
    const chosen = changes.slice(0, count).flatMap(({ values, observer }) => values.map((value) => [value, observer]))
    const options = { ...state.options, observers: { ...state.options.observers, ...Object.fromEntries(chosen) } }
    const what = `observers of ${chosen.length} tensors by their readers`
    const judged = await state.judge.measure(what, state.plan(options), (found) => state.isBetter(found))
    if (!state.isBetter(judged)) continue
    state.options = options
    state.best = judged
    return
  }
}

/** Changes that gain at the readers, those that gain most first. */
async function changesByReaders(state: SearchState): Promise<Change[]> {
  const candidates = [...state.candidates, ...more(state)]
  const tried = noisiest(state).flatMap(([group, tensors]) => rangesOf(group, tensors, candidates, state))
  if (tried.length === 0) return []
  const errors = await state.shadowErrors(tried.map(({ trial }) => trial))
  const levels = tried.map((_, i) =>
    levelOf(
      errors.filter(({ trial }) => trial === i),
      state.judgedBy,
    ),
  )
  const changes = new Map<string, Change>()
  let now = 0
  for (const [i, { group, observer, values }] of tried.entries()) {
    if (observer === undefined) now = levels[i] as number
    const gain = now - (levels[i] as number)
    if (observer !== undefined && gain > (changes.get(group)?.gain ?? MIN_GAIN)) {
      changes.set(group, { values, observer, gain })
    }
  }
  return [...changes.values()].sort((a, b) => b.gain - a.gain)
}

/** Observers that are too rough for all activations of a network. */
const MORE = ['percentile:percentile=99.9', 'percentile:percentile=99.5'] as const

const more = ({ judge, plan, options }: SearchState): SearchState['candidates'] =>
  MORE.map((observer) => ({ observer, params: judge.params(plan({ ...options, observer })) }))

function noisiest(state: SearchState): [string, TensorPlan[]][] {
  const noise = (tensors: readonly TensorPlan[]) => Math.max(...tensors.map((tensor) => tensorNoise(tensor, state)))
  return [...groupsOf(state.best.plan)]
    .filter(([, tensors]) => tensors.some(({ source }) => source.kind === 'calibrate'))
    .map((entry) => ({ entry, noise: noise(entry[1]) }))
    .sort((a, b) => b.noise - a.noise)
    .slice(0, GROUPS)
    .map(({ entry }) => entry)
}

interface TriedRange {
  readonly group: string
  /** Undefined for the range as it is. */
  readonly observer?: string
  readonly values: readonly string[]
  readonly trial: ShadowTrial
}

/** The range of a group as it is, and those of other observers that differ; nothing where none does. */
function rangesOf(
  group: string,
  tensors: readonly TensorPlan[],
  candidates: SearchState['candidates'],
  { best, float }: SearchState,
): TriedRange[] {
  const nodes = measurable(float, new Set(tensors.flatMap(({ readers }) => readers)))
  const found: { observer?: string; params: QuantParams }[] = [{ params: must(best.params.get(group), group) }]
  for (const { observer, params: all } of candidates) {
    const params = must(all.get(group), group)
    if (!found.some((other) => isSame(params, other.params))) found.push({ observer, params })
  }
  if (nodes.length === 0 || found.length === 1) return []
  const values = tensors.filter(({ source }) => source.kind === 'calibrate').map(({ value }) => value)
  const takes = (tensor: TensorPlan) => tensor.role === 'weight' || tensor.group === group
  return found.map(({ observer, params }) => {
    const trial = { nodes, plan: best.plan, params: new Map(best.params).set(group, params), takes }
    return { group, values, trial, ...(observer === undefined ? {} : { observer }) }
  })
}

/** One range, or nearly: both ends are within a share of it. */
function isSame(a: QuantParams, b: QuantParams): boolean {
  const ends = ({ spec, scale: [s = 1], zeroPoint: [z = 0] }: QuantParams) => [
    (spec.quantMin - z) * s,
    (spec.quantMax - z) * s,
  ]
  const [[lo = 0, hi = 0], [otherLo = 0, otherHi = 0]] = [ends(a), ends(b)]
  return Math.abs(lo - otherLo) + Math.abs(hi - otherHi) <= SAME_RANGE * (hi - lo)
}

/** Nodes with one result that errors can be taken of. */
function measurable({ graph }: Model, names: ReadonlySet<string>): string[] {
  return [...graph.nodes]
    .filter(({ name, outputs: [first, ...others] }) => {
      return names.has(name) && others.length === 0 && asTensor(first?.type)?.dtype === 'float32'
    })
    .map(({ name }) => name)
}

/** Noise ÷ signal, summed over layers, in dB: of all samples together, or the mean over samples. */
function levelOf(errors: readonly ShadowError[], judgedBy: keyof OutputErrors): number {
  if (judgedBy === 'sqnr') return decibels(errors.map(({ noise, signal }) => [sum(noise), sum(signal)]))
  const runs = errors[0]?.noise.map((_, run) =>
    decibels(errors.map(({ noise, signal }) => [noise[run] as number, signal[run] as number])),
  )
  return runs ? sum(runs) / runs.length : 0
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)

const decibels = (parts: readonly (readonly [noise: number, signal: number])[]): number =>
  10 * Math.log10(EXACT + sum(parts.map(([noise, signal]) => (signal > 0 ? noise / signal : 0))))
