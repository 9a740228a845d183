import { deadCode, PASSES, runPasses } from '../passes/index.ts'
import type { FloatAlgorithm } from './algorithm.ts'
import {
  ABSORBING_RULES,
  type ChannelGraph,
  channelGraph,
  type ScaledConstant,
  scaleChannels,
  scaleNorms,
} from './channels/index.ts'

/** There is nothing to choose. */
export type NoOptions = Readonly<Record<never, never>>

/**
 * Backward scale folding. A constant factor y = k·x costs a multiplication and a rounding of its own. It moves backwards, through what
 * commutes with it, into the weights that make x; where something stands in the way, forwards into the weights that read y.
 */
export const scaleFolding: FloatAlgorithm<NoOptions> = {
  name: 'scale-folding',
  stage: 'float',
  title: 'Scale folding',
  summary: 'folds multiplications by constants into weights, through activations, sums and pooling',
  source: 'MegEngine, BackwardFoldScale',
  options: {},
  needsData: false,
  preserves: 1e-4,
  async apply(cx) {
    const graph = channelGraph(cx.model, cx.ops, ABSORBING_RULES)
    const multiplied = graph.constants.filter(({ node }) => node.opType === 'Mul' || node.opType === 'Div')
    const { factors, folded } = fold(graph, multiplied)
    const factor = (id: number): number => factors.get(graph.classes.find(id)) ?? 1
    const changed = scaleChannels(graph, factor)
    scaleNorms(cx.norms, graph, factor)
    const left = multiplied.filter((constant) => !folded.includes(constant))
    const notes = left.map(({ node }) => `${node.name}: no weights on either side take up its factor`)
    await runPasses(cx.model, [PASSES['eliminate-noop'], deadCode], cx.passes)
    return { changed: changed.map(({ name }) => name), notes, details: { folded: folded.length, left: left.length } }
  },
}

/** Factors by class that turn constants into ones. From the last constant to the first, each takes what is still free. */
function fold(graph: ChannelGraph, multiplied: readonly ScaledConstant[]) {
  const factors = new Map<number, number>()
  const positive = graph.classes.positive()
  const folded: ScaledConstant[] = []
  for (const constant of multiplied.toReversed()) {
    const { up, down } = sidesOf(constant, graph)
    const values = Array.from(constant.tensor.numbers())
    // k·t(up)/t(down) has to become 1: by the factor of one side, given that of the other.
    const byDown = () =>
      demand(down, factors, positive, (i) => (values[i] as number) * (factors.get(up[i] as number) ?? 1))
    const byUp = () =>
      demand(up, factors, positive, (i) => (factors.get(down[i] as number) ?? 1) / (values[i] as number))
    const wanted = constant.node.opType === 'Mul' ? (byDown() ?? byUp()) : (byUp() ?? byDown())
    if (wanted) folded.push(constant)
    for (const [id, value] of wanted ?? []) factors.set(id, value)
    for (const id of [...up, ...down]) if (id !== 0 && !factors.has(id)) factors.set(id, 1)
  }
  return { factors, folded }
}

function sidesOf({ tensor, up, down }: ScaledConstant, { classes }: ChannelGraph) {
  const all = (side: (i: number) => number) => Array.from({ length: tensor.size }, (_, i) => classes.find(side(i)))
  return { up: all(up), down: all(down) }
}

/** The factor of each class, if all are free and no class is asked for two factors, or for one that its operators do not pass. */
function demand(
  ids: readonly number[],
  taken: ReadonlyMap<number, number>,
  positive: ReadonlySet<number>,
  wanted: (i: number) => number,
): Map<number, number> | undefined {
  const found = new Map<number, number>()
  for (const [i, id] of ids.entries()) {
    const value = wanted(i)
    const passes = Number.isFinite(value) && value !== 0 && (value > 0 || !positive.has(id))
    if (id === 0 || taken.has(id) || !passes || (found.get(id) ?? value) !== value) return undefined
    found.set(id, value)
  }
  return found
}
