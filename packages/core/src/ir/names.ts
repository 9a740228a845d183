import type { Graph, Value } from './graph.ts'
import { graphValues, nestedGraphs } from './model.ts'
import { rootGraph } from './traverse.ts'

/** Hands out names that are free in a set: `base`, then `base_1`, `base_2`, … Deterministic. */
export class NamePool {
  readonly #taken: Set<string>
  readonly #next = new Map<string, number>()

  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken)
  }

  has(name: string): boolean {
    return this.#taken.has(name)
  }

  /** Reserves a name as it is. */
  reserve(name: string): void {
    this.#taken.add(name)
  }

  /** A free name that begins with `base`; it is taken from now on. */
  fresh(base: string): string {
    let name = base
    let n = this.#next.get(base) ?? 1
    while (name === '' || this.#taken.has(name)) name = `${base}_${n++}`
    this.#next.set(base, n)
    this.#taken.add(name)
    return name
  }
}

/**
 * The names in use around a graph: the outermost graph and everything nested in it. Names added to the graph by other
 * hands after construction are not known here, so make one where it is needed and let it go.
 */
export class UniqueNames {
  readonly #values = new NamePool()
  readonly #nodes = new NamePool()

  constructor(graph: Graph) {
    for (const g of nestedGraphs(rootGraph(graph))) {
      for (const value of graphValues(g)) this.#values.reserve(value.name)
      for (const node of g.nodes) this.#nodes.reserve(node.name)
    }
  }

  value(base: string): string {
    return this.#values.fresh(base)
  }

  node(base: string): string {
    return this.#nodes.fresh(base)
  }
}

/** Values of a graph by name, nested graphs excluded. */
export function valuesByName(graph: Graph): Map<string, Value> {
  return new Map([...graphValues(graph)].map((value) => [value.name, value]))
}

/**
 * Gives every node of the graph and of the graphs nested in it a unique name. The first holder of a name keeps it; nodes
 * without a name are called after their operator (`Conv`, `Conv_1`, …). Deterministic.
 * @returns the number of nodes that were given a name.
 */
export function nameNodes(root: Graph, pool: NamePool = new NamePool()): number {
  const nodes = [...nestedGraphs(root)].flatMap((g) => [...g.nodes])
  const renamed = nodes.filter((node) => {
    const clash = node.name === '' || pool.has(node.name)
    if (!clash) pool.reserve(node.name)
    return clash
  })
  for (const node of renamed) node.name = pool.fresh(node.name || node.opType)
  return renamed.length
}

/**
 * Makes value names unique across a graph and the graphs nested in it. ONNX lets sibling branches use one name twice;
 * plans and statistics are keyed by name, so the later holder becomes `name_1`. Names of nested graphs are not part of any
 * interface (their inputs and outputs go by position), and the outermost graph's own names never change unless `pool`
 * has them already.
 * @returns the values that were renamed, with their old names.
 */
export function uniquifyValues(root: Graph, pool: NamePool = new NamePool()): Map<Value, string> {
  const graphs = [...nestedGraphs(root)]
  const clashes: Value[] = []
  for (const value of graphs.flatMap((g) => [...graphValues(g)])) {
    if (pool.has(value.name)) clashes.push(value)
    else pool.reserve(value.name)
  }
  return new Map(
    clashes.map((value) => {
      const old = value.name
      value.name = pool.fresh(old)
      return [value, old]
    }),
  )
}
