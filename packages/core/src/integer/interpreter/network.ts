import type { Graph, Model, Node, Value } from '../../ir/index.ts'
import type { Built } from './layers/index.ts'
import type { Grid, Scheme } from './scheme.ts'

/** A value in whole numbers: where its codes are kept, and what they stand for. */
export interface Coded {
  readonly slot: Value
  readonly grid: Grid
}

/** One kernel, with the Relu or Clip and the quantizer that it takes in. */
export interface LayerStep {
  readonly kind: 'layer'
  readonly node: Node
  /** Names of the node and of those that it takes in. */
  readonly nodes: readonly string[]
  /** Where the codes are that it reads. */
  readonly reads: readonly Value[]
  readonly makes: Value
  /** Of the result; undefined where it is real. */
  readonly grid: Grid | undefined
  readonly built: Built
}

/** Real values to codes, where data enter or come from an island. */
export interface QuantizeStep {
  readonly kind: 'quantize'
  readonly from: Value
  readonly makes: Value
  readonly grid: Grid
}

/** Codes to codes of another grid. */
export interface RescaleStep {
  readonly kind: 'rescale'
  readonly from: Value
  readonly source: Grid
  readonly makes: Value
  readonly grid: Grid
}

/** Codes to real values, for an island or an output. */
export interface DequantizeStep {
  readonly kind: 'dequantize'
  readonly from: Value
  readonly makes: Value
  readonly grid: Grid
}

/** Nodes that run in float. */
export interface IslandStep {
  readonly kind: 'island'
  readonly nodes: readonly Node[]
  readonly reads: readonly Value[]
  readonly makes: readonly Value[]
}

export type Step = LayerStep | QuantizeStep | RescaleStep | DequantizeStep | IslandStep

/** Why a node runs in float. */
export interface FloatNode {
  readonly node: string
  readonly opType: string
  readonly reason: string
}

/** A quantized network in whole numbers: what runs in which order. */
export interface IntegerNetwork {
  readonly model: Model
  readonly graph: Graph
  readonly scheme: Scheme
  readonly steps: readonly Step[]
  /** Where each output of the graph is kept. */
  readonly outputs: ReadonlyMap<Value, Value>
  readonly floats: readonly FloatNode[]
}
