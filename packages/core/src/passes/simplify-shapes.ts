import { type Dim, type Node, nestedGraphs, type Shape, Tensor, type Value } from '../ir/index.ts'
import { nodeLabel, type ValueFacts } from '../ops/infer.ts'
import { type DType, must } from '../util/index.ts'
import { inferFacts } from './infer-shapes.ts'
import { intAttribute } from './node-attributes.ts'
import type { Pass } from './pass.ts'
import { freshName, RuleContext, shapeOf } from './rule-context.ts'
import { becomeInitializer } from './surgery.ts'

/**
 * Replaces shape arithmetic (Shape → Gather → Concat …) by what it is known to give:
 *
 * - a small tensor of integers or truths of which every element is known becomes an initializer;
 * - a Reshape to a shape with open elements takes a constant instead, with 0 where the element is the input's own dimension
 *   at that place, and −1 for at most one other open element.
 */
export const simplifyShapes: Pass = {
  name: 'simplify-shapes',
  summary: 'replace shape arithmetic with known results by constants',
  run(model, pass) {
    const facts = inferFacts(model, { ops: pass.ops })
    const cx = new RuleContext(model, pass.ops)
    let modified = false
    for (const graph of nestedGraphs(model.graph)) {
      for (const node of graph.nodes) {
        const fired = knownOutput(node, facts, cx) ?? openReshape(node, facts, cx)
        if (!fired) continue
        modified = true
        pass.trace({ pass: simplifyShapes.name, kind: 'fired', node: nodeLabel(node), text: fired })
      }
    }
    return { modified }
  },
}

function knownOutput(node: Node, facts: ValueFacts, cx: RuleContext): string | undefined {
  const [output] = node.outputs
  const graph = node.graph
  if (!output || !graph || node.outputs.length > 1 || node.qualifiedType === 'Constant') return undefined
  const tensor = knownTensor(output, facts)
  if (!tensor || cx.isOutput(output) || cx.hasTrait(node, 'quantizer') || cx.hasTrait(node, 'impure')) return undefined
  becomeInitializer(output, tensor)
  graph.remove(node)
  return `always ${tensor.dims.length === 0 ? '' : 'the vector '}${tensor.numbers().join(',')}`
}

const KNOWN: ReadonlySet<DType> = new Set<DType>(['int64', 'int32', 'bool'])

function knownTensor(value: Value, facts: ValueFacts): Tensor | undefined {
  const type = facts.type(value)
  const elements = facts.elements(value)
  if (type?.kind !== 'tensor' || !type.shape || type.shape.length > 1) return undefined
  if (!elements?.every((e) => typeof e === 'number')) return undefined
  if (!KNOWN.has(type.dtype)) return undefined
  return Tensor.fromNumbers(type.dtype, type.shape.length === 0 ? [] : [elements.length], elements)
}

function openReshape(node: Node, facts: ValueFacts, cx: RuleContext): string | undefined {
  const target = node.inputs[1]
  if (node.qualifiedType !== 'Reshape' || !target || target.constant) return undefined
  const elements = facts.elements(target)
  const dims = elements && constantTarget(elements, shapeOf(node.inputs[0]), intAttribute(node, 'allowzero', 0) === 0)
  if (!dims || cx.isOutput(target)) return undefined
  const graph = must(node.graph, 'graph')
  node.setInput(1, graph.addInitializer(freshName(graph, `${target.name}_known`), Tensor.int64([dims.length], dims)))
  return `reshapes to ${dims.join(',')}`
}

/** The shape in Reshape's notation; undefined if more than one element stays open, or a real 0 would read as "copy". */
function constantTarget(elements: readonly Dim[], input: Shape | undefined, copies: boolean): number[] | undefined {
  if (elements.includes(0)) return undefined
  const dims = elements.map((e, i) => {
    if (typeof e === 'number') return e
    return copies && e !== null && input?.[i] === e ? 0 : -1
  })
  return dims.filter((d) => d === -1).length <= 1 ? dims : undefined
}
