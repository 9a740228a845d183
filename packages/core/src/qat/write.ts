import { addFunctionBodies } from '../engine/index.ts'
import { cloneModel, type Model, type Node, type Value, valuesByName } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import type { RandomInput } from '../training/index.ts'
import { must } from '../util/index.ts'
import { batchNormStrategy, foldRunning, NormSite, type SiteQuantizers } from './batch-norm/index.ts'
import { biasRecords, writeBiasGrids } from './bias-grid.ts'
import type { QatContext } from './context.ts'
import { type QFloat, qfloatOf } from './qfloat.ts'
import { QuantizerWriter } from './quantizer-writer.ts'
import type { Form, NormRecord, QFloatRecord, State } from './record.ts'

export interface WrittenForm {
  readonly model: Model
  /** Values that hold the next content of initializers, by the initializer's name: running statistics that a strategy keeps itself. */
  readonly updates: ReadonlyMap<string, Value>
  /** Inputs for the numbers that some fake-quantizers draw in each step. */
  readonly random: readonly RandomInput[]
}

/**
 * Writes fake-quantizers into a float network, where `materialize` puts pairs, and folds BatchNormalization in the graph.
 * @param base the prepared network with BatchNormalization behind its layers, and float weights.
 * @param state parameters of the fake-quantizers.
 */
export function writeForm(base: Model, record: QFloatRecord, state: State, ops: OpRegistry, form: Form): WrittenForm {
  const model = cloneModel(base)
  const writer = new QuantizerWriter(model.graph, record, state, form)
  const strategy = batchNormStrategy(record.batchNorm)
  const updates = new Map<string, Value>()
  const write = (form === 'training' ? strategy.train : undefined) ?? foldRunning
  if (strategy.kind === 'folded') {
    const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
    for (const norm of record.norms) {
      const site = siteOf(norm, nodes, (layer) => writer.layerQuantizers(layer, norm))
      for (const [name, value] of write(site)) updates.set(name, value)
    }
  }
  writer.rest(valuesByName(model.graph))
  addFunctionBodies(model, ops)
  return { model, updates, random: writer.random }
}

/** Writes the form that is evaluated and saved, with biases as they are deployed. The parameters are as in `writeForm`. */
export function writeQFloat(base: Model, known: Omit<QFloatRecord, 'biases'>, state: State, cx: QatContext): QFloat {
  const record: QFloatRecord = { ...known, biases: biasRecords(known, state, cx) }
  const { model } = writeForm(base, record, state, cx.ops, 'evaluation')
  writeBiasGrids(model.graph, record, cx)
  return qfloatOf(model, record)
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
