import {
  absorbedBy,
  type Checkpoint,
  type Difference,
  differenceOf,
  isWithin,
  type MatchedPair,
  segment,
  type Tolerance,
} from '../../analysis/index.ts'
import type { Feeds, LoadOptions } from '../../engine/index.ts'
import { integerEngine, SCHEMES } from '../../integer/index.ts'
import type { Node, Tensor } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { FewbitError, must } from '../../util/index.ts'
import { explain } from './causes.ts'
import { runSegment, type Side, valuesAt } from './side.ts'
import type { Suspect } from './suspect.ts'

/** A checkpoint of two networks with what lies between them. JSON. */
export interface LayerDifference {
  readonly node: string
  readonly opType: string
  readonly value: string
  /** With all that differs before it. */
  readonly accumulated: Difference
  /** Given the reference's tensors: what this node does by itself. Where it was asked. */
  readonly alone?: Difference
}

/** The first node that parts by itself. JSON. */
export interface Parting extends LayerDifference {
  readonly alone: Difference
  /** Name in the reference, where it is another one. */
  readonly as?: string
  /** Names of the known causes that fit, and a sentence for each. */
  readonly causes: readonly { readonly name: string; readonly text: string }[]
}

export interface Location {
  readonly parting?: Parting
  /** Checkpoints that were compared, in graph order; where a node parted, those up to it. */
  readonly layers: readonly LayerDifference[]
}

export interface LocateOptions {
  readonly ops: OpRegistry
  readonly tolerance: (pair: MatchedPair) => Tolerance
  /** Go on behind the node that parts, to have the differences of all. */
  readonly toTheEnd?: boolean
  readonly signal?: AbortSignal
  /** Is told how many tensors have been compared, of how many. */
  readonly compared?: (done: number, total: number) => void
}

/** Checkpoints that one run shows: fewer cost more sessions, more cost memory and runs of what is behind the node. */
const CHUNK = 48

/**
 * The first node that differs although it is given the reference's tensors. Networks run as they are and every checkpoint is compared in order;
 * where one is too far off, its node alone runs once more on what the reference gave to it, because errors before it may be all there is.
 */
export async function locate(
  reference: Side,
  candidate: Side,
  pairs: readonly MatchedPair[],
  feeds: Feeds,
  options: LocateOptions,
): Promise<Location> {
  const search = new Search(reference, candidate, pairs, feeds, options)
  for (let at = 0; at < pairs.length; at += CHUNK) {
    options.signal?.throwIfAborted()
    await search.chunk(pairs.slice(at, at + CHUNK), () => options.compared?.(search.layers.length, pairs.length))
    if (search.parting && !options.toTheEnd) break
  }
  return { layers: search.layers, ...(search.parting && { parting: search.parting }) }
}

class Search {
  parting: Parting | undefined
  readonly layers: LayerDifference[] = []
  readonly #reference: Side
  readonly #candidate: Side
  readonly #points: readonly Checkpoint[]
  readonly #partners: ReadonlyMap<Checkpoint, Checkpoint>
  readonly #feeds: Feeds
  readonly #options: LocateOptions
  /** The reference's tensors so far. */
  readonly #known = new Map<Checkpoint, Tensor>()

  constructor(reference: Side, candidate: Side, pairs: readonly MatchedPair[], feeds: Feeds, options: LocateOptions) {
    this.#reference = reference
    this.#candidate = candidate
    this.#points = pairs.map((pair) => pair.candidate)
    this.#partners = new Map(pairs.map((pair) => [pair.candidate, pair.reference]))
    this.#feeds = feeds
    this.#options = options
  }

  async chunk(pairs: readonly MatchedPair[], compared: () => void): Promise<void> {
    const points = (side: 'reference' | 'candidate') => pairs.map((pair) => pair[side])
    const expected = await valuesAt(this.#reference, points('reference'), this.#feeds)
    const found = await valuesAt(this.#candidate, points('candidate'), this.#feeds)
    for (const [i, pair] of pairs.entries()) {
      const [r, c] = [expected[i] as Tensor, found[i] as Tensor]
      this.#known.set(pair.reference, r)
      const layer = await this.#layer(pair, r, c)
      this.layers.push(layer)
      compared()
      if (this.parting && !this.#options.toTheEnd) return
    }
  }

  async #layer(pair: MatchedPair, r: Tensor, c: Tensor): Promise<LayerDifference> {
    const { node, name: value } = pair.candidate
    const accumulated = differenceOf(r, c, stepOf(pair))
    const layer = { node: node.name, opType: node.opType, value, accumulated }
    const tolerance = this.#options.tolerance(pair)
    if (this.parting || isWithin(accumulated, tolerance)) return layer
    const tensor = await this.#alone(pair.candidate)
    const alone = differenceOf(r, tensor, stepOf(pair))
    if (!isWithin(alone, tolerance)) this.parting = await this.#part(pair, { ...layer, alone }, r, tensor)
    return { ...layer, alone }
  }

  /** What the candidate's node makes of the reference's tensors. */
  async #alone(
    point: Checkpoint,
    optimization?: LoadOptions['optimization'],
    engine = this.#candidate.engine,
  ): Promise<Tensor> {
    const part = segment(this.#candidate.model, point, this.#points)
    const taken = [...part.takes].map(([name, from]) => [name, this.#tensorOf(this.#partners.get(from))] as const)
    const side = { ...loaded(this.#candidate, optimization), engine }
    return runSegment(side, part, { ...this.#feeds, ...Object.fromEntries(taken) })
  }

  /** The same of the reference's own node. */
  async #referenceAlone(point: Checkpoint, optimization?: LoadOptions['optimization']): Promise<Tensor> {
    const part = segment(this.#reference.model, point, [...this.#partners.values()])
    const taken = [...part.takes].map(([name, from]) => [name, this.#tensorOf(from)] as const)
    return runSegment(loaded(this.#reference, optimization), part, { ...this.#feeds, ...Object.fromEntries(taken) })
  }

  /** Of the nodes that one kernel runs together, the first that parts; the last one where an engine does not run them apart. */
  async #insideKernel(pair: MatchedPair): Promise<Node> {
    return this.#apart(pair).catch((error) => {
      this.#options.signal?.throwIfAborted()
      if (error instanceof FewbitError) return pair.candidate.node
      throw error
    })
  }

  /** Each without quantizers behind it. */
  async #apart(pair: MatchedPair): Promise<Node> {
    const inner = absorbedBy(pair.candidate, this.#options.ops)
    const theirs = absorbedBy(pair.reference, this.#options.ops)
    for (const [i, point] of inner.entries()) {
      const match = theirs[i]
      if (!match || inner.length !== theirs.length) break
      const [r, c] = [await this.#referenceAlone(match, 'simulate'), await this.#alone(point, 'simulate')]
      if (!isWithin(differenceOf(r, c), this.#options.tolerance(pair))) return point.node
    }
    return pair.candidate.node
  }

  /** What causes try out. */
  #experiments({ reference, candidate }: MatchedPair): Pick<Suspect, 'rerun' | 'unquantized' | 'inIntegers'> {
    return {
      rerun: (side, optimization) =>
        side === 'reference' ? this.#referenceAlone(reference, optimization) : this.#alone(candidate, optimization),
      unquantized: (side) =>
        side === 'reference'
          ? this.#referenceAlone(beforeQuantizer(reference), 'simulate')
          : this.#alone(beforeQuantizer(candidate), 'simulate'),
      inIntegers: (scheme) => this.#alone(candidate, undefined, integerEngine(SCHEMES[scheme], this.#reference.engine)),
    }
  }

  #tensorOf = (point: Checkpoint | undefined): Tensor =>
    must(point && this.#known.get(point), 'tensor of the reference')

  async #part(
    pair: MatchedPair,
    layer: LayerDifference & { readonly alone: Difference },
    reference: Tensor,
    candidate: Tensor,
  ): Promise<Parting> {
    const causes = await explain({
      reference,
      candidate,
      point: pair.candidate,
      difference: layer.alone,
      step: stepOf(pair),
      part: segment(this.#candidate.model, pair.candidate, this.#points).model,
      ...this.#experiments(pair),
    })
    const { name: node, opType } = await this.#insideKernel(pair)
    const renamed = pair.reference.name === pair.candidate.name ? {} : { as: pair.reference.name }
    return { ...layer, node, opType, ...renamed, causes }
  }
}

/** The same tensor before its quantizer. */
const beforeQuantizer = (point: Checkpoint): Checkpoint => ({ ...point, seen: point.fed })

const loaded = (side: Side, optimization: LoadOptions['optimization']): Side =>
  optimization === undefined ? side : { ...side, load: { ...side.load, optimization } }

/** Steps of the reference, unless only the candidate counts in steps. */
const stepOf = ({ reference, candidate }: MatchedPair): number | undefined => reference.step ?? candidate.step
