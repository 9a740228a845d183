import { GraphBuilder, type Model, replaceAllUses } from '../ir/index.ts'
import { GradBuilder } from '../ops/grads/builder.ts'
import { inferContext } from '../ops/infer.ts'
import { type OpRegistry, versionIn } from '../ops/registry.ts'
import { must } from '../util/index.ts'
import { inferFacts } from './infer-shapes.ts'

/**
 * Replaces nodes of the main graph by operators that engines run faster, in place, where their definitions know some (`lower`). Results are the
 * same but for signs of zeros; nodes that make graph outputs stay.
 * @returns how many nodes were replaced.
 */
export function lowerNodes(model: Model, ops: OpRegistry): number {
  const facts = inferFacts(model, { ops })
  const builder = new GraphBuilder(model.graph)
  const g = new GradBuilder(builder, 'lowered')
  let count = 0
  for (const node of [...model.graph.nodes]) {
    const def = ops.of(node)
    const version = def && versionIn(def, model)
    const output = node.outputs[0]
    if (!def?.lower || version === undefined || !output || model.graph.isOutput(output)) continue
    builder.moveTo({ before: node })
    const x = (i: number) => must(node.inputs[i], `input ${i} of "${node.name}"`)
    const lowered = def.lower({ ...inferContext(def, node, version, { facts }), g, x })
    if (!lowered) continue
    lowered.type = output.type
    replaceAllUses(output, lowered)
    model.graph.remove(node)
    count++
  }
  return count
}
