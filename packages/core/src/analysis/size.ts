import { allGraphs, type Model } from '../ir/index.ts'
import { nodeMacs, type OpRegistry } from '../ops/index.ts'

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
