import {
  type Graph,
  GraphBuilder,
  graphValues,
  moveNode,
  NamePool,
  type Node,
  nameNodes,
  nestedGraphs,
  replaceAllUses,
  rootGraph,
  uniquifyValues,
  type Value,
} from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { removeWithSubgraphs } from '../dead-code.ts'
import { decline, rule } from '../rule.ts'

interface Captures {
  readonly node: Node
  readonly taken: Graph
}

/**
 * An If whose condition is constant becomes the branch that it takes. The other branch goes without having been looked at:
 * it may well contradict what is known about the values that it reads, since it was written for other ones.
 */
export const inlineIf = rule<Captures>({
  name: 'inline-if',
  summary: 'replace an If on a constant condition by the branch that it takes',
  anchor: ['If'],
  match(node, cx) {
    const condition = node.inputs[0]
    if (!condition) return undefined
    const flag = cx.constant(condition)
    if (!flag) return decline(`"${condition.name}" is computed`)
    const branch = node.attributes.get(flag.numbers()[0] ? 'then_branch' : 'else_branch')
    return branch?.kind === 'graph' ? { node, taken: branch.value } : decline('the branch that it takes is missing')
  },
  rewrite({ node, taken }) {
    claimNames(node, taken)
    const results = resultsOf(node, taken)
    moveInto(must(node.graph, 'graph'), node, taken)
    node.outputs.forEach((output, i) => {
      if (output) replaceAllUses(output, must(results[i], `result of branch "${taken.name}"`))
    })
    removeWithSubgraphs(node)
    return `took branch "${taken.name}"`
  },
})

/** Renames what the branch shares a name with elsewhere; branches side by side may use a name twice. */
function claimNames(node: Node, taken: Graph): void {
  const inside = new Set(node.subgraphs().flatMap((branch) => [...nestedGraphs(branch)]))
  const others = [...nestedGraphs(rootGraph(taken))].filter((graph) => !inside.has(graph))
  const nodes = others.flatMap((graph) => [...graph.nodes])
  nameNodes(taken, new NamePool(nodes.map((n) => n.name)))
  uniquifyValues(taken, new NamePool(others.flatMap((graph) => [...graphValues(graph)]).map((value) => value.name)))
}

/**
 * What stands for the outputs of the If. An output of its graph must be computed there to keep its name, so that a
 * constant, or a value from further out, gets there through an Identity.
 */
function resultsOf(node: Node, taken: Graph): Value[] {
  return taken.outputs.map((value, i) => {
    const output = node.outputs[i]
    if (!output || value.producer?.graph === taken || !node.graph?.isOutput(output)) return value
    return new GraphBuilder(taken).op('Identity', [value], {}, { name: `${node.name}_Identity` })
  })
}

/** Empties the branch into the graph around it, behind the If, so that a rule at work sees the nodes again there. */
function moveInto(graph: Graph, node: Node, taken: Graph): void {
  let after = node
  for (const inner of [...taken.nodes]) {
    moveNode(inner, graph, { after })
    after = inner
  }
  for (const value of taken.initializers) graph.initializers.add(value)
  taken.initializers.clear()
  taken.outputs.length = 0
}
