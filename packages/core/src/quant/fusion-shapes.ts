import type { Node, Value } from '../ir/index.ts'

/** Nodes that one kernel runs after its host, from the host's result to their own. */
export interface Region {
  readonly nodes: readonly Node[]
  readonly exit: Value
}

/**
 * Activations that exporters write as several nodes, by the operators that they are made of: x·σ(x), x·tanh(softplus(x)),
 * x·relu6(x + 3)/6, and x/2·(1 + erf(x/√2)) in the orders in which PyTorch and TensorFlow write it. Each may be one node too.
 */
const DECOMPOSED: Readonly<Record<string, readonly (readonly string[])[]>> = {
  Swish: [['Sigmoid', 'Mul']],
  Mish: [['Softplus', 'Tanh', 'Mul']],
  HardSwish: [
    ['HardSigmoid', 'Mul'],
    ['Add', 'Clip', 'Mul', 'Div'],
    ['Add', 'Clip', 'Mul', 'Mul'],
    ['Add', 'Clip', 'Div', 'Mul'],
  ],
  Gelu: [
    ['Div', 'Erf', 'Add', 'Mul', 'Mul'],
    ['Mul', 'Erf', 'Add', 'Mul', 'Mul'],
  ],
}

/** Names that a fusion chain may use beside operator types. */
export const COMPOUND_NAMES: readonly string[] = Object.keys(DECOMPOSED)

/** The nodes behind `entry` that make up the named activation, if they are its only readers. */
export function activationRegion(name: string, entry: Value): Region | undefined {
  for (const types of [[name], [`com.microsoft::${name}`], ...(DECOMPOSED[name] ?? [])]) {
    const region = regionOf(entry, types)
    if (region) return region
  }
  return undefined
}

/**
 * The region of these operators that starts at `entry`: all readers of `entry` lie inside, every operand comes from inside or is
 * constant, and one value leaves.
 */
function regionOf(entry: Value, types: readonly string[]): Region | undefined {
  // Each of the decomposed activations multiplies its input with a function of it.
  if (types.length > 1 && entry.consumers().length < 2) return undefined
  const nodes = collect(entry, types.length)
  if (!nodes || !sameTypes(nodes, types)) return undefined
  const inside = new Set(nodes)
  const made = new Set(nodes.flatMap((node) => node.outputs.filter((v) => v !== null)))
  const fromInside = (v: Value | null) => v === null || v === entry || made.has(v) || v.constant !== null
  if (!nodes.every((node) => node.inputs.every(fromInside))) return undefined
  const leaves = (v: Value) => nodes[0]?.graph?.isOutput(v) || v.consumers().some((node) => !inside.has(node))
  const exits = [...made].filter((v) => leaves(v) || v.useCount === 0)
  const [exit] = exits
  return exit && exits.length === 1 && !leaves(entry) ? { nodes, exit } : undefined
}

/** The first `count` nodes behind a value, nearest first. */
function collect(entry: Value, count: number): Node[] | undefined {
  const nodes = new Set(entry.consumers())
  for (const node of nodes) {
    if (nodes.size > count) return undefined
    if (nodes.size === count) break
    for (const output of node.outputs) for (const reader of output?.consumers() ?? []) nodes.add(reader)
  }
  return nodes.size === count ? [...nodes] : undefined
}

function sameTypes(nodes: readonly Node[], types: readonly string[]): boolean {
  const sort = (names: readonly string[]) => [...names].sort().join()
  return sort(nodes.map((node) => node.qualifiedType)) === sort(types)
}
