import { asTensor, dependencies, type Graph, type Model, type Node, type Value } from '../../ir/index.ts'
import { fedValues, stretchesOf } from './cuts.ts'

/**
 * What is reconstructed at a time. `layer`: one layer and what follows it alone. `block`: what a residual or another branching connection
 * spans, and single layers elsewhere. `net`: everything.
 */
export type UnitSize = 'layer' | 'block' | 'net'

/** A part of the network whose outputs are to be what they are in float. */
export interface Unit {
  /** Of its first layer. */
  readonly name: string
  readonly nodes: ReadonlySet<Node>
  /** What it reads and others make. */
  readonly inputs: readonly Value[]
  /** What it makes and others read. */
  readonly outputs: readonly Value[]
}

export interface UnitOptions {
  readonly granularity: UnitSize
  /** Layers behind each other that a block may have; deeper ones are done layer by layer. */
  readonly depth: number
}

/**
 * Cuts a network into units, in an order in which each reads only what units before it make.
 * @param layers nodes with weights that are to be changed: each is in one unit.
 */
export function unitsOf(model: Model, layers: ReadonlySet<Node>, { granularity, depth }: UnitOptions): Unit[] {
  const { graph } = model
  const fed = fedValues(graph)
  const unit = (nodes: readonly Node[]): Unit | undefined => unitFrom(graph, nodes, fed, layers)
  if (granularity === 'net') return [unit([...graph.nodes]) ?? []].flat()
  const whole = (nodes: readonly Node[]) => granularity === 'block' && depthOf(nodes, layers) <= depth
  const parts: Node[][] = []
  // What stands behind a whole stretch belongs to it; behind layers done one by one it reads more than the last of them.
  let open: Node[] | undefined
  for (const stretch of stretchesOf(graph)) {
    const own = stretch.filter((node) => layers.has(node))
    if (own.length === 0) {
      open?.push(...stretch)
      continue
    }
    open = own.length === 1 || whole(stretch) ? [...stretch] : undefined
    parts.push(...(open ? [open] : own.map((layer) => followed(layer, graph, fed, layers))))
  }
  return parts.flatMap((nodes) => unit(nodes) ?? [])
}

/** How many layers lie behind each other. */
function depthOf(nodes: readonly Node[], layers: ReadonlySet<Node>): number {
  const depths = new Map<Node, number>()
  for (const node of nodes) {
    const before = [...dependencies(node)].map(({ producer }) => (producer && depths.get(producer)) ?? 0)
    depths.set(node, Math.max(0, ...before) + (layers.has(node) ? 1 : 0))
  }
  return Math.max(0, ...depths.values())
}

/** A layer with the nodes behind it that read nothing else and that nobody else's data go through. */
function followed(layer: Node, graph: Graph, fed: ReadonlySet<Value>, layers: ReadonlySet<Node>): Node[] {
  const nodes = [layer]
  for (;;) {
    const [output] = nodes.at(-1)?.outputs ?? []
    const [reader, ...others] = output?.consumers() ?? []
    if (!output || !reader || others.length > 0 || graph.isOutput(output)) return nodes
    const isAlone = reader.graph === graph && reader.inputs.every((x) => x === output || !x || !fed.has(x))
    if (!isAlone || layers.has(reader) || reader.outputs.length !== 1) return nodes
    nodes.push(reader)
  }
}

function unitFrom(
  graph: Graph,
  nodes: readonly Node[],
  fed: ReadonlySet<Value>,
  layers: ReadonlySet<Node>,
): Unit | undefined {
  const first = nodes.find((node) => layers.has(node))
  const own = new Set(nodes)
  const made = new Set(nodes.flatMap((node) => node.outputs.filter((y) => y !== null)))
  const read = new Set(nodes.flatMap((node) => [...dependencies(node)]))
  const inputs = [...read].filter((x) => fed.has(x) && !made.has(x))
  const isRead = (y: Value) => graph.isOutput(y) || y.consumers().some((reader) => !own.has(outermost(reader, graph)))
  const outputs = [...made].filter((y) => fed.has(y) && isRead(y) && asTensor(y.type)?.dtype === 'float32')
  return first && outputs.length > 0 ? { name: first.name, nodes: own, inputs, outputs } : undefined
}

/** The node of the graph that holds a reader. */
function outermost(reader: Node, graph: Graph): Node {
  let node = reader
  while (node.graph !== graph && node.graph?.owner) node = node.graph.owner
  return node
}
