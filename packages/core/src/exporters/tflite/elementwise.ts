import type { Value } from '../../ir/index.ts'
import { clipBounds } from '../../passes/index.ts'
import type { TfQuantization } from './graph.ts'
import { inOrder, type Order } from './order.ts'
import { ACTIVATION, type OperatorName } from './schema.ts'
import { fixedScale, input, intAttr, keepScale, refuse, type Task, type Translate } from './task.ts'

/** The operands of an elementwise operator in one order of axes, constants spread over all axes. */
function operands(task: Task, values: readonly Value[]): { tensors: number[]; order: Order } {
  const { lowering, result, form } = task
  const rank = lowering.shape(result).length
  const leader = values.find((v) => !lowering.isConstant(v) && lowering.shape(v).length === rank)
  const order = leader ? lowering.orderOf(leader) : inOrder(rank)
  const tensors = values.map((value) => {
    if (lowering.isConstant(value)) return constantOperand(task, value, rank, order)
    if (lowering.shape(value).length !== rank) refuse(task, `"${value.name}" has fewer axes than the result`)
    return lowering.read(value, form, order).tensor
  })
  return { tensors, order }
}

function constantOperand(task: Task, value: Value, rank: number, order: Order): number {
  const { lowering, node, form } = task
  const own = lowering.shape(value)
  const shape = [...new Array<number>(rank - own.length).fill(1), ...own]
  if (form === 'real') return lowering.spreadConstant(value, node, shape, order)
  const entry = lowering.entry(value, node)
  if (!entry) return refuse(task, `its constant "${value.name}" has no encoding`)
  return lowering.codeConstant(value, lowering.paramsOf(entry), shape, order)
}

export const binary =
  (type: OperatorName): Translate =>
  (task) => {
    const { tensors, order } = operands(task, [input(task), input(task, 1)])
    const made = task.lowering.define(task.result, task.form, order)
    task.lowering.builder.op(type, tensors, [made], { activation: ACTIVATION[task.activation] })
  }

export const unary =
  (type: OperatorName, options: (task: Task) => Readonly<Record<string, number>> = () => ({})): Translate =>
  (task) => {
    const { tensor, order } = task.lowering.read(input(task), task.form)
    task.lowering.builder.op(type, [tensor], [task.lowering.define(task.result, task.form, order)], options(task))
  }

/** TFLite's int8 specification fixes these results. */
const grid = (scale: number, zeroPoint: number): TfQuantization => ({ scale: [scale], zeroPoint: [zeroPoint], axis: 0 })
const PROBABILITY = grid(1 / 256, -128)
const UNIT = grid(1 / 128, 0)

const fixedUnary =
  (type: OperatorName, fixed: TfQuantization): Translate =>
  (task) => {
    const { tensor, order } = task.lowering.read(input(task), task.form)
    fixedScale(task, order, fixed, (made) => task.lowering.builder.op(type, [tensor], [made]))
  }

export const sigmoid = fixedUnary('LOGISTIC', PROBABILITY)
export const tanh = fixedUnary('TANH', UNIT)

/** Over the last axis, which is where TFLite works. */
export const softmax: Translate = (task) => {
  const { lowering, form } = task
  const rank = lowering.shape(input(task)).length
  const axis = (intAttr(task, 'axis') + rank) % rank
  const held = lowering.orderOf(input(task))
  const wanted = held.at(-1) === axis ? held : [...held.filter((a) => a !== axis), axis]
  const { tensor, order } = lowering.read(input(task), form, wanted)
  fixedScale(task, order, PROBABILITY, (made) => lowering.builder.op('SOFTMAX', [tensor], [made], { beta: 1 }))
}

/** A Relu or Clip by itself. */
export const clip: Translate = (task) => {
  const bounds = clipBounds(task.node) ?? refuse(task, 'its bounds are computed while the model runs')
  if (bounds.lo === 0 && bounds.hi === Number.POSITIVE_INFINITY) unary('RELU')(task)
  else if (bounds.lo === 0 && bounds.hi === 6) unary('RELU6')(task)
  else between(task, bounds)
}

/** MAXIMUM and MINIMUM with constants, which keep the scale. */
function between(task: Task, { lo, hi }: { lo: number; hi: number }): void {
  const { lowering, form } = task
  const x = input(task)
  const { tensor, order } = lowering.read(x, form)
  const sides = [
    ...(Number.isFinite(lo) ? [['MAXIMUM', lo] as const] : []),
    ...(Number.isFinite(hi) ? [['MINIMUM', hi] as const] : []),
  ]
  keepScale(task, x, order, (made) => {
    let last = tensor
    sides.forEach(([type, bound], i) => {
      const shape = order.map((axis) => lowering.shape(x)[axis] as number)
      const to = i === sides.length - 1 ? made : lowering.temporary(`${x.name}_bounded`, shape, form, x)
      lowering.builder.op(type, [last, lowering.scalar(x, bound, form)], [to])
      last = to
    })
  })
}

/** (x − mean) / √(variance + ε) · gain + shift as x · a + b, in float. */
export const batchNormalization: Translate = (task) => {
  const { lowering, node, form, result } = task
  if (form !== 'real') refuse(task, 'TFLite has no integer kernel for it')
  const [gain, shift, mean, variance] = [1, 2, 3, 4].map((i) => node.inputs[i]?.constant?.numbers())
  if (!gain || !shift || !mean || !variance) return refuse(task, 'its parameters are computed while the model runs')
  const { tensor, order } = lowering.read(input(task), form)
  const a = Float32Array.from(gain, (g, i) => g / Math.sqrt((variance[i] as number) + (task.attrs.epsilon as number)))
  const b = Float32Array.from(shift, (s, i) => s - (mean[i] as number) * (a[i] as number))
  const shape = order.map((axis) => (axis === 1 ? a.length : 1))
  const scaled = lowering.temporary(
    `${result.name}_scaled`,
    order.map((axis) => lowering.shape(result)[axis] as number),
    form,
    result,
  )
  lowering.builder.op('MUL', [tensor, lowering.floats(`${node.name}_scale`, shape, a)], [scaled])
  lowering.builder.op(
    'ADD',
    [scaled, lowering.floats(`${node.name}_shift`, shape, b)],
    [lowering.define(result, form, order)],
  )
}
