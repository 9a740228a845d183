import type { Value } from '../../ir/index.ts'
import type { GradBuilder, Operand } from '../../ops/index.ts'

/** What one step of a recurrent cell reads, for one direction. */
export interface CellStep {
  readonly g: GradBuilder
  /** X·Wᵀ with all biases that are only added, [N, gates·hidden]. */
  readonly input: Value
  readonly hidden: Value
  /** Of LSTM, else null. */
  readonly cell: Value | null
  /** Rᵀ, [hidden, gates·hidden], and its part for each gate. */
  readonly recurrent: Value
  readonly recurrentParts: readonly Value[]
  /** Bias of the recurrent product of GRU's hidden gate, [hidden]; null where it stands in `input`. */
  readonly innerBias: Value | null
  readonly activations: readonly ((x: Value) => Value)[]
  readonly size: number
}

export interface CellState {
  readonly hidden: Value
  readonly cell: Value | null
}

export type Cell = (step: CellStep) => CellState

/** [N, gates·hidden] as one part for each gate. */
function gatesOf({ g, size }: CellStep, x: Value, count: number): Value[] {
  return g.ops('Split', [x, g.ints(Array<number>(count).fill(size))], { axis: { kind: 'int', value: 1n } }, count)
}

const product = (g: GradBuilder, a: Operand, b: Operand): Value => g.op('MatMul', [a, b])

/** Gates in the order input, output, forget, cell (Hochreiter & Schmidhuber 1997, with forget gates). */
const lstm: Cell = (step) => {
  const { g, input, hidden, cell, recurrent } = step
  const [f, act, out] = step.activations as [(x: Value) => Value, (x: Value) => Value, (x: Value) => Value]
  const [i, o, forget, c] = gatesOf(step, g.add(input, product(g, hidden, recurrent)), 4) as [
    Value,
    Value,
    Value,
    Value,
  ]
  const next = g.add(g.mul(f(forget), cell as Value), g.mul(f(i), act(c)))
  return { hidden: g.mul(f(o), out(next)), cell: next }
}

/** Gates in the order update, reset, hidden (Cho et al. 2014); the reset gate works before or behind the recurrent product. */
const gru: Cell = (step) => {
  const { g, input, hidden, recurrentParts, innerBias } = step
  const [f, act] = step.activations as [(x: Value) => Value, (x: Value) => Value]
  const [rz, rr, rh] = recurrentParts as [Value, Value, Value]
  const [xz, xr, xh] = gatesOf(step, input, 3) as [Value, Value, Value]
  const update = f(g.add(xz, product(g, hidden, rz)))
  const reset = f(g.add(xr, product(g, hidden, rr)))
  const inner = innerBias
    ? g.mul(reset, g.add(product(g, hidden, rh), innerBias))
    : product(g, g.mul(reset, hidden), rh)
  const fresh = act(g.add(xh, inner))
  return { hidden: g.add(g.mul(g.sub(1, update), fresh), g.mul(update, hidden)), cell: null }
}

const rnn: Cell = ({ g, input, hidden, recurrent, activations }) => ({
  hidden: (activations[0] as (x: Value) => Value)(g.add(input, product(g, hidden, recurrent))),
  cell: null,
})

/** Cells by operator: how many gates, default activations. */
export const CELLS: Readonly<Record<string, { cell: Cell; gates: number; activations: readonly string[] }>> = {
  LSTM: { cell: lstm, gates: 4, activations: ['Sigmoid', 'Tanh', 'Tanh'] },
  GRU: { cell: gru, gates: 3, activations: ['Sigmoid', 'Tanh'] },
  RNN: { cell: rnn, gates: 1, activations: ['Tanh'] },
}
