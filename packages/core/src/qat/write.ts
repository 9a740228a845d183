import { addFunctionBodies } from '../engine/index.ts'
import { cloneModel, type Model, type Node, type Value, valuesByName } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { RandomInput } from '../training/index.ts'
import { must } from '../util/index.ts'
import {
  batchNormStrategy,
  foldBehindRounding,
  foldRunning,
  NormSite,
  type SiteQuantizers,
} from './batch-norm/index.ts'
import { biasRecords, writeBiasGrids } from './bias-grid.ts'
import type { QatContext } from './context.ts'
import { quantizerByWeight, takesFactors } from './deploy.ts'
import { Grids, hasScale } from './grids.ts'
import { writeKernels } from './kernels/index.ts'
import { type QFloat, qfloatOf } from './qfloat.ts'
import { QuantizerWriter } from './quantizer-writer.ts'
import type { NormRecord, QFloatRecord, QuantizerRecord, State } from './record.ts'

export interface WrittenForm {
  readonly model: Model
  /** Values that hold the next content of initializers, by the initializer's name: running statistics that a strategy keeps itself. */
  readonly updates: ReadonlyMap<string, Value>
  /** Inputs for the numbers that some fake-quantizers draw in each step. */
  readonly random: readonly RandomInput[]
}

/**
 * Writes fake-quantizers into a float network, where `materialize` puts pairs, and folds BatchNormalization in the graph, in the form in which
 * it trains.
 * @param base the prepared network with BatchNormalization behind its layers, and float weights.
 * @param state parameters of the fake-quantizers.
 */
export function writeTraining(base: Model, record: QFloatRecord, state: State, ops: OpRegistry): WrittenForm {
  const model = cloneModel(base)
  const writer = new QuantizerWriter(model.graph, record, state, 'training')
  const strategy = batchNormStrategy(record.batchNorm)
  const updates = new Map<string, Value>()
  const write = strategy.train ?? foldRunning
  if (strategy.kind === 'folded') {
    for (const site of sitesOf(model, record.norms, writer))
      for (const [name, value] of write(site)) updates.set(name, value)
  }
  writer.rest(valuesByName(model.graph))
  addFunctionBodies(model, ops)
  return { model, updates, random: writer.random }
}

/** What is known of a network with fake-quantizers before its form is written. */
export type KnownRecord = Omit<QFloatRecord, 'biases' | 'kernels'>

/**
 * Writes the form that is evaluated and saved, as it is deployed: BatchNormalization folded, biases on their grids, and where an engine is
 * the backend, what runs on its integer kernels on codes. The parameters are as in `writeTraining`.
 */
export function writeQFloat(base: Model, known: KnownRecord, state: State, cx: QatContext): QFloat {
  const model = cloneModel(base)
  const { graph } = model
  const writer = new QuantizerWriter(graph, known, state, 'evaluation')
  const grids = new Grids(graph, known, (input) => writer.parameter(input), cx)
  const folding = foldingOf(known, state, cx)
  const folded = fold(model, folding, known, writer, grids)
  writer.rest(valuesByName(graph))
  const hasScaleOf = (record: QuantizerRecord) => hasScale(record, state, cx)
  const kernels = known.engine ? writeKernels({ graph, record: known, hasScale: hasScaleOf, folded }, grids) : []
  const onCodes = new Set(kernels.map(({ node }) => node))
  const biases = biasRecords(known, folding.separate, state, cx).filter(({ layer }) => !onCodes.has(layer))
  writeBiasGrids(graph, biases, grids)
  addFunctionBodies(model, cx.ops)
  return qfloatOf(model, { ...known, biases, kernels })
}

/** How normalizations are evaluated. */
interface Folding {
  /** Into the weight before it is rounded, as they train, or where nothing rounds it. */
  readonly before: readonly NormRecord[]
  /** Into the rounded weight, whose codes stay. */
  readonly behind: readonly NormRecord[]
  readonly separate: readonly NormRecord[]
}

/** Weights that are rounded as they are keep their codes where each channel has a scale that takes the factor in. */
function foldingOf({ batchNorm, norms, quantizers }: KnownRecord, state: State, cx: QatContext): Folding {
  if (batchNormStrategy(batchNorm).kind !== 'separate') return { before: norms, behind: [], separate: [] }
  const byWeight = quantizerByWeight(quantizers)
  const placeOf = ({ weight }: NormRecord): keyof Folding => {
    const record = byWeight.get(weight)
    if (!record?.enabled) return 'before'
    return takesFactors(record.spec) && hasScale(record, state, cx) ? 'behind' : 'separate'
  }
  const at = (place: keyof Folding) => norms.filter((norm) => placeOf(norm) === place)
  return { before: at('before'), behind: at('behind'), separate: at('separate') }
}

/** @returns groups of weights that are folded behind their fake-quantizers, by layer. */
function fold(
  model: Model,
  { before, behind }: Folding,
  { quantizers }: KnownRecord,
  writer: QuantizerWriter,
  grids: Grids,
): ReadonlyMap<string, string> {
  for (const site of sitesOf(model, before, writer)) foldRunning(site)
  const byWeight = quantizerByWeight(quantizers)
  const sites = sitesOf(model, behind, writer)
  return new Map(
    behind.map(({ layer, weight }, i) => {
      const { group } = must(byWeight.get(weight), `fake-quantizer of "${weight}"`)
      grids.setScale(group, foldBehindRounding(must(sites[i], 'site'), grids.scale(group)))
      return [layer, group] as const
    }),
  )
}

/** Layers and their normalizations in a network where both stand. */
function sitesOf(model: Model, norms: readonly NormRecord[], writer: QuantizerWriter): NormSite[] {
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  return norms.map((norm) => siteOf(norm, nodes, (layer) => writer.layerQuantizers(layer, norm)))
}

/** The layer and its normalization in a network where both stand. */
export function siteOf(
  norm: NormRecord,
  nodes: ReadonlyMap<string, Node>,
  quantizers: (layer: Node) => SiteQuantizers,
): NormSite {
  const layer = must(nodes.get(norm.layer), `layer "${norm.layer}"`)
  return new NormSite(layer, must(nodes.get(norm.norm), `normalization "${norm.norm}"`), quantizers(layer))
}
