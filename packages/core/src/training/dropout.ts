import { asTensor, GraphBuilder, type Model, type Node, tensorType } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { RandomInput } from './trainable.ts'

const RATIO = 0.5

/** Puts a product with a fed mask in place of every Dropout whose mask nobody reads, in place. */
export function trainDropout(model: Model): RandomInput[] {
  const random: RandomInput[] = []
  for (const node of [...model.graph.nodes]) {
    if (node.qualifiedType !== 'Dropout' || (node.outputs[1]?.useCount ?? 0) > 0) continue
    const ratio = node.inputs[1] ? node.inputs[1].constant?.numbers()[0] : RATIO
    if (ratio !== undefined && ratio > 0 && ratio < 1) random.push(masked(node, 1 - ratio))
  }
  return random
}

function masked(node: Node, keep: number): RandomInput {
  const x = must(node.inputs[0], 'data')
  const builder = new GraphBuilder(must(node.graph, 'graph'))
  const mask = builder.input(`${node.name}_mask`, tensorType('float32', asTensor(x.type)?.shape))
  node.opType = 'Mul'
  node.attributes.clear()
  node.setInput(1, mask)
  node.truncateInputs(2)
  node.truncateOutputs(1)
  return { name: mask.name, fill: { kind: 'mask', keep } }
}
