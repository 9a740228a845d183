import { invariant } from '../util/index.ts'
import type { Graph, Node, Value } from './graph.ts'
import { graphValues, isInside, type Model, nestedGraphs } from './model.ts'
import { parentGraph } from './traverse.ts'

/** What is structurally wrong with a model; empty when nothing is. For tests and for the pass runner's checks. */
export function verify(model: Model): string[] {
  return [model.graph, ...model.functions.map((f) => f.graph)].flatMap(verifyRoot)
}

/** @throws Error (internal) listing every structural problem: a broken graph is always our own fault. */
export function assertValid(model: Model): void {
  const problems = verify(model)
  invariant(problems.length === 0, () => `the graph is broken:\n  ${problems.join('\n  ')}`)
}

function verifyRoot(root: Graph): string[] {
  const check = new Verifier(root)
  check.run()
  return check.problems
}

class Verifier {
  readonly problems: string[] = []
  readonly #root: Graph
  /** Graph that defines each value. */
  readonly #home = new Map<Value, Graph>()
  readonly #position = new Map<Node, number>()

  constructor(root: Graph) {
    this.#root = root
  }

  run(): void {
    this.#expect(this.#root.owner === null, () => `graph "${this.#root.name}" is a root but has an owner`)
    const graphs = [...nestedGraphs(this.#root)]
    this.#expect(new Set(graphs).size === graphs.length, () => 'one graph is held by two attributes')
    for (const graph of graphs) this.#index(graph)
    this.#uniqueNames(graphs)
    for (const graph of graphs) this.#checkGraph(graph)
  }

  #expect(condition: boolean, message: () => string): void {
    if (!condition) this.problems.push(message())
  }

  #index(graph: Graph): void {
    for (const value of graphValues(graph)) {
      this.#expect(!this.#home.has(value), () => `"${value.name}" is defined twice`)
      this.#home.set(value, graph)
    }
    for (const node of graph.nodes) this.#position.set(node, this.#position.size)
  }

  #uniqueNames(graphs: readonly Graph[]): void {
    const values = [...this.#home.keys()].map((value) => value.name)
    const nodes = graphs.flatMap((g) => [...g.nodes]).map((node) => node.name)
    for (const name of duplicates(values)) this.problems.push(`two values are called "${name}"`)
    for (const name of duplicates(nodes)) this.problems.push(`two nodes are called "${name}"`)
    this.#expect(!values.includes(''), () => 'a value has no name')
    this.#expect(!nodes.includes(''), () => 'a node has no name')
  }

  #checkGraph(graph: Graph): void {
    for (const value of graph.inputs) {
      this.#expect(!value.producer, () => `graph input "${value.name}" has a producer`)
    }
    for (const value of graph.initializers) {
      this.#expect(!value.producer, () => `initializer "${value.name}" has a producer`)
      this.#expect(value.constant !== null, () => `initializer "${value.name}" has no tensor`)
    }
    for (const value of graph.outputs) {
      this.#expect(this.#home.get(value) === graph, () => `output "${value.name}" is not defined in "${graph.name}"`)
    }
    for (const value of graphValues(graph)) this.#checkUses(value)
    for (const node of graph.nodes) this.#checkNode(node, graph)
  }

  #checkUses(value: Value): void {
    for (const node of value.consumers()) {
      this.#expect(this.#position.has(node), () => `"${value.name}" counts reader "${node.name}", which is in no graph`)
    }
    const edges = value.uses().length
    this.#expect(edges === value.useCount, () => `"${value.name}" counts ${value.useCount} uses, but ${edges} exist`)
  }

  #checkNode(node: Node, graph: Graph): void {
    this.#expect(node.graph === graph, () => `node "${node.name}" does not know its graph`)
    for (const sub of node.subgraphs()) {
      this.#expect(sub.owner === node, () => `graph "${sub.name}" does not know its node "${node.name}"`)
    }
    node.outputs.forEach((value, i) => {
      const linked = !value || (value.producer === node && value.outputIndex === i)
      this.#expect(linked, () => `output "${value?.name}" does not know its node "${node.name}"`)
    })
    for (const value of new Set(node.inputs)) if (value) this.#checkInput(node, value)
  }

  #checkInput(node: Node, value: Value): void {
    this.#expect(value.consumers().includes(node), () => `"${value.name}" does not know its reader "${node.name}"`)
    const home = this.#home.get(value)
    if (!home || !isInside(node.graph, home)) {
      this.problems.push(`node "${node.name}" reads "${value.name}", which is not in scope`)
      return
    }
    const reader = this.#enclosing(node, home)
    const before = !value.producer || this.#rank(value.producer) < this.#rank(reader)
    this.#expect(before, () => `node "${node.name}" reads "${value.name}" before it is computed`)
  }

  #rank(node: Node): number {
    return this.#position.get(node) ?? -1
  }

  #enclosing(node: Node, graph: Graph): Node {
    let at = node
    for (let g = node.graph; g && g !== graph; g = parentGraph(g)) at = g.owner ?? at
    return at
  }
}

function duplicates(names: readonly string[]): Set<string> {
  const seen = new Set<string>()
  return new Set(names.filter((name) => seen.size === seen.add(name).size))
}
