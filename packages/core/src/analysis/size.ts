import { allGraphs, asTensor, type Model, type Node } from '../ir/index.ts'
import { inferContext, type OpRegistry, versionIn } from '../ops/index.ts'

/** Multiply-accumulates of one node for one sample (open batch axes count as 1), or undefined where it cannot be known. */
export function nodeMacs(node: Node, model: Model, ops: OpRegistry): number | undefined {
  const def = ops.of(node)
  const version = def && versionIn(def, model)
  if (!def?.macs || version === undefined) return undefined
  const shapes = node.outputs.map((value) => withBatchOne(asTensor(value?.type)?.shape))
  return def.macs(inferContext(def, node, version), shapes)
}

/** A symbolic or unknown first dimension is the batch. */
const withBatchOne = <D>(shape: readonly D[] | undefined): readonly (D | 1)[] | undefined =>
  shape?.map((dim, i) => (i === 0 && typeof dim !== 'number' ? 1 : dim))

export interface ModelSize {
  /** Elements of all floating-point and quantized constants with more than one element. */
  readonly parameters: number
  /** Bytes of all constants. */
  readonly constantBytes: number
  /** Of the nodes whose shapes are known. */
  readonly macs: number
  /** Nodes that multiply and accumulate but whose shapes are open. */
  readonly macsUnknown: readonly string[]
}

export function modelSize(model: Model, ops: OpRegistry): ModelSize {
  let parameters = 0
  let constantBytes = 0
  for (const graph of allGraphs(model)) {
    for (const { constant } of graph.initializers) {
      if (!constant) continue
      constantBytes += constant.byteLength
      if (constant.size > 1 && constant.dtype !== 'int64') parameters += constant.size
    }
  }
  const { macs, unknown } = countMacs(model, ops)
  return { parameters, constantBytes, macs, macsUnknown: unknown }
}

function countMacs(model: Model, ops: OpRegistry): { macs: number; unknown: string[] } {
  let macs = 0
  const unknown: string[] = []
  for (const graph of allGraphs(model)) {
    for (const node of graph.nodes) {
      if (!ops.of(node)?.macs) continue
      const count = nodeMacs(node, model, ops)
      if (count === undefined) unknown.push(node.name)
      else macs += count
    }
  }
  return { macs, unknown }
}
