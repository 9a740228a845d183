import {
  asTensor,
  attribute,
  GraphBuilder,
  isStatic,
  type Model,
  type Node,
  replaceAllUses,
  Tensor,
  type Value,
} from '../../ir/index.ts'
import { GradBuilder } from '../../ops/grads/builder.ts'
import { decodeUtf8, must } from '../../util/index.ts'
import { floatAttribute, intAttribute, stringAttribute } from '../node-attributes.ts'
import { CELLS, type CellState } from './cells.ts'

/** More steps than this would be a graph that nobody waits for. */
const MOST_STEPS = 512
/** Activations without parameters, which every operator of this name computes. */
const ACTIVATIONS = ['Sigmoid', 'Tanh', 'Relu']
const PEEPHOLES = 7
const LENGTHS = 4

/** A recurrent node whose steps can be written one by one. */
interface Recurrence {
  readonly node: Node
  readonly kind: (typeof CELLS)[string]
  readonly steps: number
  readonly size: number
  readonly directions: number
  readonly activations: readonly string[]
}

/**
 * Writes LSTM, GRU and RNN step by step, as the products and activations that they stand for, in place: these have gradients. Nodes whose
 * sequence has an open or great length stay, as do those with lengths of their own, peepholes, clipping or unusual activations.
 * @returns how many nodes were expanded.
 */
export function expandRecurrent(model: Model): number {
  const found = [...model.graph.nodes].flatMap((node) => recurrenceOf(node) ?? [])
  const builder = new GraphBuilder(model.graph)
  for (const recurrence of found) expand(recurrence, builder)
  return found.length
}

function recurrenceOf(node: Node): Recurrence | undefined {
  const kind = node.domain === '' ? CELLS[node.opType] : undefined
  const [x, w] = [asTensor(node.inputs[0]?.type)?.shape, asTensor(node.inputs[1]?.type)?.shape]
  if (!kind || !isStatic(w) || typeof x?.[0] !== 'number' || x[0] > MOST_STEPS) return undefined
  const [directions = 1, rows = 0] = w
  const activations = activationsOf(node) ?? Array(directions).fill(kind.activations).flat()
  const isPlain =
    !node.inputs[LENGTHS] &&
    !node.inputs[PEEPHOLES] &&
    floatAttribute(node, 'clip', 0) === 0 &&
    intAttribute(node, 'layout', 0) === 0 &&
    intAttribute(node, 'input_forget', 0) === 0
  if (!isPlain || !activations.every((name) => ACTIVATIONS.includes(name))) return undefined
  return { node, kind, steps: x[0], size: rows / kind.gates, directions, activations }
}

function activationsOf(node: Node): string[] | undefined {
  const a = node.attributes.get('activations')
  const names = a ? attribute.expectKind('activations', a, 'strings').value.map((name) => decodeUtf8(name)) : []
  return names.length > 0 ? names : undefined
}

function expand(recurrence: Recurrence, builder: GraphBuilder): void {
  const { node, steps, directions } = recurrence
  builder.moveTo({ before: node })
  const g = new GradBuilder(builder, node.name)
  g.dtype = asTensor(node.inputs[0]?.type)?.dtype ?? 'float32'
  const isReverse = (d: number): boolean => stringAttribute(node, 'direction', 'forward') === 'reverse' || d === 1
  const runs = Array.from({ length: directions }, (_, d) => runDirection(recurrence, g, d, isReverse(d)))
  const stack = (values: readonly Value[], axis: number): Value =>
    values.length === 1 ? (values[0] as Value) : g.op('Concat', values, { axis: attribute.int(axis) })
  const sequence = (states: readonly CellState[]) =>
    stack(
      states.map(({ hidden }) => g.op('Unsqueeze', [hidden, g.ints([0, 1])])),
      0,
    )
  const last = (pick: (state: CellState) => Value | null) => () =>
    stack(
      runs.map(({ states, end }) => g.op('Unsqueeze', [must(pick(states[end] as CellState), 'state'), g.ints([0])])),
      0,
    )
  const made = [
    () =>
      stack(
        runs.map(({ states }) => sequence(states)),
        1,
      ),
    last((s) => s.hidden),
    last((s) => s.cell),
  ]
  for (const [i, output] of [...node.outputs].entries()) {
    if (output && steps > 0) replaceOutput(node, i, output, must(made[i], 'output')(), g)
  }
  must(node.graph, 'graph').remove(node)
}

/** Outputs of the graph keep their names. */
function replaceOutput(node: Node, i: number, output: Value, value: Value, g: GradBuilder): void {
  value.type = output.type
  if (!node.graph?.isOutput(output)) {
    replaceAllUses(output, value)
    return
  }
  const copy = must(g.op('Identity', [value]).producer, 'producer')
  node.setOutput(i, null)
  copy.setOutput(0, output)
}

/** States in the order of time, and the index of the one that the recurrence ends with. */
interface DirectionRun {
  readonly states: readonly CellState[]
  readonly end: number
}

function runDirection(
  { node, kind, steps, size, activations }: Recurrence,
  g: GradBuilder,
  d: number,
  reverse: boolean,
): DirectionRun {
  const part = (i: number): Value =>
    g.op('Gather', [must(node.inputs[i], `input ${i}`), at(g, d)], { axis: attribute.int(0) })
  const { input, innerBias } = inputProducts(node, kind.gates, size, g, part)
  const recurrent = g.transpose(part(2), [1, 0])
  const gates = kind.gates
  const recurrentParts =
    gates > 1
      ? g.ops('Split', [recurrent, g.ints(Array<number>(gates).fill(size))], { axis: attribute.int(1) }, gates)
      : []
  const names = activations.slice(d * kind.activations.length, (d + 1) * kind.activations.length)
  const functions = names.map((name) => (x: Value) => g.op(name, [x]))
  const first = (i: number): Value => (node.inputs[i] ? part(i) : zeroState(node, size, g))
  let state: CellState = { hidden: first(5), cell: node.opType === 'LSTM' ? first(6) : null }
  const states: CellState[] = []
  const order = Array.from({ length: steps }, (_, t) => (reverse ? steps - 1 - t : t))
  for (const t of order) {
    const x = g.op('Gather', [input, at(g, t)], { axis: attribute.int(0) })
    state = kind.cell({ g, input: x, ...state, recurrent, recurrentParts, innerBias, activations: functions, size })
    states[t] = state
  }
  return { states, end: reverse ? 0 : steps - 1 }
}

/** X·Wᵀ + biases of all steps, [S, N, gates·hidden]. GRU that resets behind its product adds one of its biases there. */
function inputProducts(node: Node, gates: number, size: number, g: GradBuilder, part: (i: number) => Value) {
  const product = g.op('MatMul', [must(node.inputs[0], 'data'), g.transpose(part(1), [1, 0])])
  const isInner = node.opType === 'GRU' && intAttribute(node, 'linear_before_reset', 0) !== 0
  const width = gates * size
  const cut = (from: number, to: number) => g.op('Slice', [part(3), g.ints([from]), g.ints([to]), g.ints([0])])
  if (!node.inputs[3]) return { input: product, innerBias: isInner ? zeros(g, [size]) : null }
  const own = g.add(product, cut(0, width))
  if (!isInner) return { input: g.add(own, cut(width, 2 * width)), innerBias: null }
  const outer = g.op('Concat', [cut(width, 2 * width - size), zeros(g, [size])], { axis: attribute.int(0) })
  return { input: g.add(own, outer), innerBias: cut(2 * width - size, 2 * width) }
}

const at = (g: GradBuilder, i: number): Value => g.constant(Tensor.int64([], [i]))

const zeros = (g: GradBuilder, dims: readonly number[]): Value => g.op('Expand', [0, g.ints(dims)])

/** [N, hidden] of zeros, whatever the batch. */
function zeroState(node: Node, size: number, g: GradBuilder): Value {
  const batch = g.op('Shape', [must(node.inputs[0], 'data')], { start: attribute.int(1), end: attribute.int(2) })
  return g.op('Expand', [0, g.op('Concat', [batch, g.ints([size])], { axis: attribute.int(0) })])
}
