import type { AlgorithmRequest, Algorithms } from '../../algorithms/index.ts'
import type { Patch } from '../patch.ts'

export interface Step {
  readonly rung: string
  readonly what: string
  readonly patch: Patch
}

/** What the steps look at while the ladder is climbed. */
export interface Outlook {
  /** Of the best trial so far. */
  readonly patch: Patch
  readonly algorithms: Algorithms
  /** Algorithms that the user asked for anyway. */
  readonly given: readonly string[]
  /** False where the backend runs integers only. */
  readonly mayKeepFloat: boolean
  /** Scales of activations are powers of two, which have an observer of their own. */
  readonly shifts: boolean
  /** Weights or activations have fewer than 8 bits, where gradient descent gains enough for the minutes that it takes. */
  readonly fewBits: boolean
  /** The scheme with more bits that the backend can hold, if there is one. */
  readonly richer: string | undefined
  /** Quantized nodes with products, the most sensitive first. */
  sensitivity(): Promise<readonly string[]>
}

/** Methods from the cheapest to the strongest; those of one rung help each other and are tried together. */
const METHODS: readonly Method[] = [
  { rung: 'equalization', requests: named('relu6-to-relu', 'cle', 'bias-absorption', 'bias-correction') },
  { rung: 'scales', requests: named('scale-search', 'bias-correction') },
  { rung: 'rounding', requests: named('coordinate-descent', 'bias-correction') },
  // A quarter of the steps that it takes by default: a ladder has more to try.
  {
    rung: 'reconstruction',
    requests: [{ name: 'qdrop', options: { iterations: 500 } }, ...named('bias-correction')],
    fewBits: true,
  },
]

interface Method {
  readonly rung: string
  readonly requests: readonly AlgorithmRequest[]
  /** For weights or activations of few bits only. */
  readonly fewBits?: true
}

function named(...names: readonly string[]): AlgorithmRequest[] {
  return names.map((name) => ({ name }))
}

/** Nodes that are relieved at a time: twice as many with each trial, up to half of them. */
const DOUBLING = 2

/**
 * The steps of the ladder. Each builds on the best trial before it; the caller stops as soon as the floor is met.
 * @param outlook what is known when the next step is asked for.
 */
export async function* steps(outlook: () => Outlook): AsyncGenerator<Step> {
  yield { rung: 'observers', what: 'ranges by observers', patch: {} }
  if (outlook().shifts) {
    yield { rung: 'observers', what: 'powers of two by squared error', patch: { observer: 'pot-search' } }
  }
  for (const { rung, requests, fewBits } of METHODS) {
    const { patch, algorithms, given, fewBits: isFew } = outlook()
    const had = new Set([...given, ...(patch.algorithms ?? []).map(({ name }) => name)])
    const added = requests.filter(({ name }) => Object.hasOwn(algorithms, name) && !had.has(name))
    if (added.length === 0 || (fewBits && !isFew)) continue
    const all = [...(patch.algorithms ?? []), ...added]
    yield { rung, what: added.map(({ name }) => name).join(', '), patch: { ...patch, algorithms: all } }
  }
  if (outlook().mayKeepFloat) yield* relieve('partial float', outlook, (nodes) => ({ floatNodes: nodes }))
  const { richer } = outlook()
  if (richer !== undefined) {
    yield* relieve('mixed precision', outlook, (nodes) => ({
      overrides: nodes.map((name) => ({ match: { name }, scheme: richer })),
    }))
  }
}

/** Relieves 1, 2, 4, … of the most sensitive nodes, up to half of all. */
async function* relieve(
  rung: string,
  outlook: () => Outlook,
  relief: (nodes: readonly string[]) => Patch,
): AsyncGenerator<Step> {
  const nodes = await outlook().sensitivity()
  // What the steps of this rung add is counted from where the rung begins.
  const { patch } = outlook()
  for (let count = 1; count <= Math.max(1, nodes.length / 2); count *= DOUBLING) {
    const chosen = nodes.slice(0, count)
    if (chosen.length === 0) return
    yield { rung, what: `${rung}: ${chosen.length} of ${nodes.length} layers`, patch: { ...patch, ...relief(chosen) } }
  }
}
