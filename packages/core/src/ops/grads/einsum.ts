import { attribute, type Dim, type Shape, type Value } from '../../ir/index.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { type EinsumAttrs, type EinsumPlan, einsumPlan } from '../shared/einsum-plan.ts'
import { unbroadcast } from './broadcast.ts'

type EinsumContext = GradContext<EinsumAttrs>

/**
 * The output is linear in each input, so the gradient by one is the product of the output's gradient with all other inputs, summed over the
 * labels that this input does not have. Labels that only this input has were summed away: there the gradient is repeated.
 */
export function einsumGrad(cx: EinsumContext): Gradients {
  const dy = cx.dy(0)
  const plan = einsumPlan(cx)
  if (!dy) return []
  if (!plan) return cx.open('the ranks of its inputs')
  if (plan.inputs.some((labels) => new Set(labels).size < labels.length)) return cx.unsupported('a repeated label')
  return plan.inputs.map((_, i) => (cx.wanted(i) ? byInput(cx, plan, dy, i) : null))
}

/** What the gradient of one input is a product of. */
interface Factor {
  readonly value: Value
  readonly labels: readonly string[]
  readonly shape: Shape
}

function byInput(cx: EinsumContext, { inputs, output, sizes }: EinsumPlan, dy: Value, i: number): Value {
  const { g } = cx
  const own = inputs[i] ?? []
  const all = inputs.map((labels, j): Factor => ({ value: cx.x(j), labels, shape: cx.input(j)?.shape ?? [] }))
  const factors = [{ value: dy, labels: output, shape: cx.output(0)?.shape ?? [] }, ...all.filter((_, j) => j !== i)]
  const shared = own.filter((label) => factors.some(({ labels }) => labels.includes(label)))
  const letters = lettersOf(sizes.keys())
  const term = (labels: readonly string[]) => labels.map((label) => letters.get(label)).join('')
  const product = g.op(
    'Einsum',
    factors.map(({ value }) => value),
    { equation: attribute.string(`${factors.map(({ labels }) => term(labels)).join()}->${term(shared)}`) },
  )
  const alone = own.flatMap((label, axis) => (shared.includes(label) ? [] : [axis]))
  const whole = alone.length > 0 ? g.op('Unsqueeze', [product, g.ints(alone)]) : product
  const x = cx.input(i)?.shape ?? []
  const reached = own.map((label) => sizeAmong(factors, label))
  // Where others have size 1 along an axis of this input, they were repeated, and so is the gradient.
  if (reached.some((size, axis) => size === 1 && x[axis] !== 1)) return g.expandLike(whole, cx.x(i))
  return unbroadcast(cx, whole, reached, x)
}

/** Size that a label has in a product of factors; 1 where none has it. */
function sizeAmong(factors: readonly Factor[], label: string): Dim {
  const found = factors.flatMap(({ labels, shape }) =>
    labels.includes(label) ? [shape[labels.indexOf(label)] ?? null] : [],
  )
  return found.find((size) => size !== 1) ?? (found.length === 0 || found[0] === 1 ? 1 : null)
}

/** One letter for each label; those of an ellipsis have longer names. */
function lettersOf(labels: Iterable<string>): Map<string, string> {
  const all = [...labels]
  const free = [...'abcdefghijklmnopqrstuvwxyz'].filter((letter) => !all.includes(letter))
  return new Map(all.map((label) => [label, label.length === 1 ? label : (free.shift() ?? label)]))
}
