import { Tensor, type Value } from '../ir/index.ts'
import { must } from '../util/index.ts'
import { type ParameterGroup, settingsOf } from './groups.ts'
import type { StepContext } from './step-context.ts'
import type { StateInput } from './step-state.ts'
import type { Parameter } from './trainable.ts'

/** A parameter as the step takes it, with the gradient of the loss by it. */
export interface Moving {
  readonly parameter: Parameter
  readonly state: StateInput
  readonly grad: Value
}

export const zerosLike = ({ dims, size }: Tensor): Tensor => Tensor.float32(dims, new Float32Array(size))

/** Sums gradients over the batches of a step; what the optimizer sees is their mean. */
export function accumulated(cx: StepContext, moving: readonly Moving[]): Moving[] {
  const { g, state, options } = cx
  const parts = options.accumulate ?? 1
  if (parts === 1) return [...moving]
  return moving.map((m) => {
    const sum = state.add(`${m.state.name}/gradient`, 'accumulator', zerosLike(m.state.initial))
    const next = g.add(sum.value, m.grad)
    state.next(sum, next)
    return { ...m, grad: g.mul(next, 1 / parts) }
  })
}

/** What divides as PyTorch's clip_grad_norm_ does: it keeps a norm of 0 from being a divisor. */
const NORM_EPSILON = 1e-6

/** Scales all gradients by min(1, max/‖g‖), ‖g‖ over all parameters (Pascanu 2013). */
export function clipped(cx: StepContext, moving: readonly Moving[]): { moving: Moving[]; norm: Value | undefined } {
  const { g, options } = cx
  const { clipNorm } = options
  if (clipNorm === undefined) return { moving: [...moving], norm: undefined }
  const squares = moving.map(({ grad }) => g.total(g.square(grad)))
  const norm = g.op('Sqrt', [squares.length === 1 ? must(squares[0], 'square') : g.op('Sum', squares)])
  const factor = g.op('Min', [g.div(clipNorm, g.add(norm, NORM_EPSILON)), 1])
  return { moving: moving.map((m) => ({ ...m, grad: g.mul(m.grad, factor) })), norm }
}

/** Writes optimizer, constraints and moving averages for every parameter. */
export function writeUpdates(cx: StepContext, moving: readonly Moving[]): void {
  const { options, scalars, g, lr } = cx
  const { optimizer, groups = [] } = options
  const common = scalars.add(optimizer.name, optimizer.scalars)
  const rates = new Map<number, Value>([[1, lr]])
  const rateOf = ({ lrScale = 1 }: ParameterGroup): Value => {
    const rate = rates.get(lrScale) ?? g.mul(lr, lrScale)
    rates.set(lrScale, rate)
    return rate
  }
  const constrain = constrainer(cx)
  const average = averager(cx)
  for (const m of moving) {
    const settings = settingsOf(m.parameter, groups)
    const slots = addSlots(
      cx,
      m,
      Object.fromEntries(optimizer.slots.map((s) => [s, zerosLike(m.state.initial)])),
      'slot',
    )
    const updated = optimizer.write(g, {
      param: m.state.value,
      grad: m.grad,
      slots: valuesOf(slots),
      lr: rateOf(settings),
      weightDecay: settings.weightDecay ?? optimizer.weightDecay,
      scalars: common,
    })
    advance(cx, slots, updated.slots)
    const param = constrain(m, updated.param, rateOf(settings))
    cx.state.next(m.state, param)
    average(m, param)
  }
}

type Slots = Readonly<Record<string, StateInput>>

function addSlots(
  { state }: StepContext,
  { state: { name } }: Moving,
  slots: Readonly<Record<string, Tensor>>,
  role: 'slot' | 'constraint',
): Slots {
  return Object.fromEntries(
    Object.entries(slots).map(([slot, zero]) => [slot, state.add(`${name}/${slot}`, role, zero)]),
  )
}

const valuesOf = (slots: Slots) => Object.fromEntries(Object.entries(slots).map(([name, { value }]) => [name, value]))

function advance({ state }: StepContext, slots: Slots, next: Readonly<Record<string, Value>>): void {
  for (const [name, slot] of Object.entries(slots)) state.next(slot, must(next[name], `next ${name}`))
}

function constrainer(cx: StepContext): (m: Moving, param: Value, lr: Value) => Value {
  const { options, scalars, g } = cx
  const network = { value: cx.value }
  const all = (options.constraints ?? []).map((constraint) => {
    return { constraint, common: scalars.add(constraint.name, constraint.scalars) }
  })
  return (m, param, lr) =>
    all.reduce((value, { constraint, common }) => {
      const first = constraint.slots(m.parameter, m.state.initial)
      if (!first) return value
      const slots = addSlots(cx, m, first, 'constraint')
      const { parameter, state } = m
      const update = { parameter, old: state.value, param: value, slots: valuesOf(slots), scalars: common, lr, network }
      const constrained = constraint.write(g, update)
      advance(cx, slots, constrained.slots)
      return constrained.param
    }, param)
}

/** a ← d·a + (1 − d)·p (Polyak & Juditsky 1992, with forgetting). */
function averager(cx: StepContext): (m: Moving, param: Value) => void {
  const { g, state, scalars, options } = cx
  const { ema } = options
  if (!ema) return () => {}
  const { decay, warmup = true } = ema
  const { keep, take } = scalars.add('ema', ({ step }) => {
    const d = warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay
    return { keep: d, take: 1 - d }
  })
  return (m, param) => {
    const average = state.add(`${m.state.name}/ema`, 'ema', m.state.initial)
    const old = g.mul(average.value, must(keep, 'decay'))
    state.next(average, g.add(old, g.mul(param, must(take, 'share'))))
  }
}
