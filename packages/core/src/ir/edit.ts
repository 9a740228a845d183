import { invariant, must } from '../util/index.ts'
import { type Graph, Node, type Use, Value } from './graph.ts'
import { allGraphs, type Model } from './model.ts'
import { UniqueNames } from './names.ts'
import { graphOf, isAvailableAt } from './traverse.ts'

/**
 * Guarded edits. Each checks everything first and throws an internal error with the graph untouched if the edit would
 * break it: a value read before it is computed or out of scope, a graph output without a producer.
 */

export interface ReplaceOptions {
  /** Nodes that keep reading the old value, such as the node that makes the new value from it. */
  readonly except?: Iterable<Node>
  /** False leaves graph outputs on the old value. Default true. */
  readonly outputs?: boolean
  /** The graph of `old`; needed only for an input or initializer that no node reads. */
  readonly graph?: Graph
}

/**
 * Makes every reader of `old` read `replacement`, readers in nested graphs included. Where `old` is a graph output,
 * `replacement` becomes the output and takes over its name, which is part of the model's interface; where that cannot be
 * (see `needsIdentity`), an Identity node carries the name. A graph input that is an output as well stays that output.
 * @returns the number of uses and outputs that changed.
 */
export function replaceAllUses(old: Value, replacement: Value, options: ReplaceOptions = {}): number {
  if (old === replacement) return 0
  const keep = new Set(options.except)
  const uses = old.uses().filter((use) => !keep.has(use.node))
  const graph = options.outputs === false ? null : graphOf(old, options.graph ?? graphOf(replacement))
  const output = graph?.isOutput(old) && !graph.isInput(old) ? graph : null
  checkReads(uses, replacement)
  if (output) checkOutput(output, replacement)
  redirect(uses, replacement)
  return uses.length + (output ? replaceOutput(output, old, replacement) : 0)
}

/** Makes the given edges read `replacement`. */
export function replaceUses(uses: readonly Use[], replacement: Value): void {
  checkReads(uses, replacement)
  redirect(uses, replacement)
}

/**
 * True if `replacement` cannot take over the name of the graph output `old`, because its own name is part of the interface
 * (a graph input or another output). Rules that remove Identity nodes ask this, or they would go in circles.
 */
export function needsIdentity(old: Value, replacement: Value): boolean {
  const graph = graphOf(old, graphOf(replacement))
  return graph?.isOutput(old) === true && !canRename(graph, replacement)
}

export interface InsertOptions {
  /** The edges to put the nodes on. Default: every use of the value. */
  readonly uses?: readonly Use[]
  /** True also puts them before the graph output, which keeps its name. Default false. */
  readonly output?: boolean
  /** The graph of the value; needed only for an input or initializer that no node reads. */
  readonly graph?: Graph
  /** Where the nodes go behind a value that no node makes. Default: first in its graph. */
  readonly after?: Node
}

/**
 * Puts a chain of new nodes behind `value`: the nodes go right after its producer (or first in its graph), and the chosen
 * edges read output 0 of the last node. The nodes are detached and already wired; at least one of them reads `value`.
 */
export function insertOn(value: Value, nodes: readonly Node[], options: InsertOptions = {}): void {
  const end = must(nodes.at(-1)?.outputs[0], 'output of the inserted nodes')
  const graph = must(graphOf(value, options.graph), `graph of "${value.name}"`)
  const inserted = new Set(nodes)
  const uses = (options.uses ?? value.uses()).filter((use) => !inserted.has(use.node))
  invariant(
    uses.every(({ node, index }) => node.inputs[index] === value),
    () => `an edge to insert on does not read "${value.name}"`,
  )
  invariant(!options.output || graph.isOutput(value), () => `"${value.name}" is not an output of its graph`)
  const after = value.producer ?? options.after
  addAll(graph, nodes, after ? { after } : graph.nodes.first ? { before: graph.nodes.first } : {})
  redirect(uses, end)
  if (options.output) replaceOutput(graph, value, end)
}

export type RemoveResult = { readonly removed: true } | { readonly removed: false; readonly reason: string }

/** Removes a node that nothing depends on; otherwise says who does and changes nothing. */
export function safeRemove(node: Node): RemoveResult {
  const reason = removalObstacle(node)
  if (reason !== null) return { removed: false, reason }
  must(node.graph, 'graph').remove(node)
  return { removed: true }
}

function removalObstacle(node: Node): string | null {
  const { graph } = node
  if (!graph) return `node "${node.name}" is in no graph`
  for (const output of node.outputs) {
    if (!output) continue
    if (graph.isOutput(output)) return `"${output.name}" is a graph output`
    const [reader] = output.consumers()
    if (reader) return `"${output.name}" is read by "${reader.name}"`
  }
  return null
}

/**
 * Puts detached nodes in the place of a node and removes it. `outputs[i]` replaces output i and, when one of the new nodes
 * makes it, takes over its name; positions that nobody reads may be null or missing.
 */
export function replaceNode(
  node: Node,
  replacements: readonly Node[],
  outputs: readonly (Value | null | undefined)[],
): void {
  const graph = must(node.graph, `graph of "${node.name}"`)
  const made = new Set(replacements)
  const pairs = node.outputs.flatMap((old, i) => (old ? [{ old, to: outputs[i] ?? null }] : []))
  for (const { old, to } of pairs) {
    const needed = old.useCount > 0 || graph.isOutput(old)
    invariant(to || !needed, () => `"${old.name}" of "${node.name}" is needed but has no replacement`)
    const fresh = to?.producer && made.has(to.producer)
    const legal = !to || fresh || availableAtPlace(to, graph, { before: node })
    invariant(legal, () => `"${to?.name}" is not available in the place of "${node.name}"`)
    if (to && graph.isOutput(old) && !fresh) checkOutput(graph, to)
  }
  addAll(graph, replacements, { before: node })
  for (const { old, to } of pairs) {
    if (!to) continue
    replaceAllUses(old, to)
    if (to.producer && made.has(to.producer)) takeName(to, old)
  }
  graph.remove(node)
}

/** After an output swap the names are exchanged already; otherwise the old node's name lives on in its replacement. */
function takeName(to: Value, old: Value): void {
  const graph = must(to.producer?.graph, 'graph')
  if (!graph.isOutput(to)) [to.name, old.name] = [old.name, to.name]
  to.type ??= old.type
}

/** Moves a node within its graph or into another one without touching its edges. */
export function moveNode(node: Node, graph: Graph, at: { before?: Node; after?: Node } = {}): void {
  const from = must(node.graph, `graph of "${node.name}"`)
  const anchor = at.before ?? at.after
  invariant(anchor !== node && (!anchor || anchor.graph === graph), () => `"${anchor?.name}" is no place to move to`)
  from.nodes.remove(node)
  node.graph = null
  graph.add(node, at)
}

/**
 * Removes initializers that nothing reads, in every graph of the model. Those that are graph inputs or outputs, or that a
 * quantization annotation names, stay.
 * @returns the removed values.
 */
export function removeUnusedInitializers(model: Model): Value[] {
  const removed: Value[] = []
  for (const graph of allGraphs(model)) {
    const annotated = annotationParameters(graph)
    for (const value of graph.initializers) {
      if (value.useCount > 0 || annotated.has(value) || graph.isInput(value) || graph.isOutput(value)) continue
      graph.initializers.delete(value)
      removed.push(value)
    }
  }
  return removed
}

/**
 * Makes inputs with default values (the only initializers that IR versions below 4 know) plain initializers, so that they
 * count as constants. Raises the IR version to 4.
 * @returns the values that are no longer inputs.
 */
export function freezeInputDefaults(model: Model): Value[] {
  const frozen = model.graph.inputs.filter((value) => model.graph.initializers.has(value))
  const open = model.graph.inputs.filter((value) => !model.graph.initializers.has(value))
  model.graph.inputs.splice(0, model.graph.inputs.length, ...open)
  if (frozen.length > 0) model.irVersion = Math.max(4, model.irVersion)
  return frozen
}

function annotationParameters(graph: Graph): Set<Value> {
  const values = [...graph.inputs, ...graph.initializers, ...[...graph.nodes].flatMap((node) => node.outputs)]
  return new Set(values.flatMap((value) => (value?.quantization ?? []).map((entry) => entry.parameter)))
}

function redirect(uses: readonly Use[], replacement: Value): void {
  for (const { node, index } of uses) node.setInput(index, replacement)
}

function checkReads(uses: readonly Use[], replacement: Value): void {
  for (const { node } of uses) {
    // Nodes in no graph are still being built; they are checked when they are inserted.
    const legal = node.graph === null || isAvailableAt(replacement, node)
    invariant(legal, () => `"${replacement.name}" is not available at "${node.name}"`)
  }
}

function checkOutput(graph: Graph, replacement: Value): void {
  const legal = graphOf(replacement, graph) === graph
  invariant(legal, () => `"${replacement.name}" is outside of graph "${graph.name}" and cannot be its output`)
}

const canRename = (graph: Graph, value: Value): boolean =>
  graphOf(value, graph) === graph && !graph.isInput(value) && !graph.isOutput(value)

function replaceOutput(graph: Graph, old: Value, replacement: Value): number {
  const name = old.name
  const heir = canRename(graph, replacement) ? replacement : identityOf(graph, replacement)
  old.name = heir === replacement ? replacement.name : new UniqueNames(graph).value(name)
  heir.name = name
  heir.type ??= old.type
  heir.docString ||= old.docString
  let changed = 0
  graph.outputs.forEach((value, i) => {
    if (value !== old) return
    graph.outputs[i] = heir
    changed++
  })
  return changed
}

function identityOf(graph: Graph, value: Value): Value {
  const copy = new Value('', value.type)
  const name = new UniqueNames(graph).node(`${value.name}_Identity`)
  graph.add(new Node({ opType: 'Identity', name, inputs: [value], outputs: [copy] }))
  return copy
}

/** Adds detached nodes in order at one place, after checking that each finds its inputs there. */
function addAll(graph: Graph, nodes: readonly Node[], at: { before?: Node; after?: Node }): void {
  const made = new Set<Value>()
  for (const node of nodes) {
    invariant(node.graph === null, () => `node "${node.name}" already belongs to a graph`)
    for (const input of node.inputs) {
      const legal = !input || made.has(input) || availableAtPlace(input, graph, at)
      invariant(legal, () => `"${input?.name}" is not available where "${node.name}" goes`)
    }
    for (const output of node.outputs) if (output) made.add(output)
  }
  let after = at.after
  for (const node of nodes) {
    graph.add(node, after ? { after } : at)
    if (after) after = node
  }
}

function availableAtPlace(value: Value, graph: Graph, at: { before?: Node; after?: Node }): boolean {
  if (at.before) return isAvailableAt(value, at.before)
  if (at.after) return value.producer === at.after || isAvailableAt(value, at.after)
  const own = value.producer ? value.producer.graph === graph : graphOf(value, graph) === graph
  return own || (graph.owner !== null && isAvailableAt(value, graph.owner))
}
