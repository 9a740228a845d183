import type { Node, Value } from '../../ir/index.ts'
import { must, problem } from '../../util/index.ts'
import type { TfQuantization } from './graph.ts'
import type { Form, Lowering } from './lowering.ts'
import { type Order, shapeIn } from './order.ts'
import type { ActivationName } from './schema.ts'

/** One ONNX node to be translated, with the activations that its kernel takes in. */
export interface Task {
  readonly node: Node
  readonly form: Form
  /** What the TFLite operator's result holds: the node's output, or that of the last activation taken in. */
  readonly result: Value
  readonly activation: ActivationName
  readonly lowering: Lowering
  readonly attrs: Readonly<Record<string, unknown>>
}

export type Translate = (task: Task) => void

/** @throws FewbitError EXPORT_OPERATOR */
export function refuse({ node }: Pick<Task, 'node'>, why: string): never {
  throw problem('EXPORT_OPERATOR', `${node.opType} "${node.name}" cannot be written: ${why}`, {
    at: { node: node.name },
    fix: 'plan for a target that writes this format, or choose another exporter',
  })
}

export const input = ({ node }: Task, i = 0): Value => must(node.inputs[i], `input ${i} of "${node.name}"`)

export const intAttr = ({ attrs }: Task, name: string): number => attrs[name] as number
export const textAttr = ({ attrs }: Task, name: string): string => attrs[name] as string

/** An integer list, or this default where it is empty or absent. */
export function intsAttr({ attrs }: Task, name: string, fallback: readonly number[]): readonly number[] {
  const value = attrs[name] as readonly number[] | undefined
  return value && value.length > 0 ? value : fallback
}

/** The elements of a constant integer or float input; undefined where the input is omitted. */
export function numbersOf(task: Task, i: number): readonly number[] | undefined {
  const value = task.node.inputs[i]
  if (!value) return undefined
  if (!value.constant || value.producer) return refuse(task, `"${value.name}" is computed while the model runs`)
  return Array.from(value.constant.numbers())
}

/**
 * The result of a kernel that keeps its input's scale. Where the plan says otherwise, a QUANTIZE behind it changes the scale.
 * @param emit writes the operator that makes the given tensor.
 */
export function keepScale(task: Task, from: Value, order: Order, emit: (tensor: number) => void): void {
  const { lowering, form, result } = task
  const same = lowering.sameScale(from, result, form)
  const grid = same ? undefined : lowering.quantization(from)
  onGrid(task, order, grid, emit)
}

/** The result of a kernel whose int8 specification fixes scale and zero point, with a QUANTIZE where the plan has others. */
export function fixedScale(task: Task, order: Order, fixed: TfQuantization, emit: (tensor: number) => void): void {
  const { lowering, form, result } = task
  const planned = form === 'codes' ? lowering.quantization(result) : undefined
  const same = !planned || (planned.scale[0] === fixed.scale[0] && planned.zeroPoint[0] === fixed.zeroPoint[0])
  onGrid(task, order, same ? undefined : fixed, emit)
}

/** Straight to the result, or to a tensor on a grid of its own and from there. */
function onGrid(task: Task, order: Order, grid: TfQuantization | undefined, emit: (tensor: number) => void): void {
  const { lowering, form, result } = task
  if (!grid) {
    emit(lowering.define(result, form, order))
    return
  }
  const shape = shapeIn(order, lowering.shape(result))
  const tensor = lowering.builder.tensor({ name: `${result.name}_kept`, type: 'INT8', shape, quantization: grid })
  emit(tensor)
  lowering.builder.op('QUANTIZE', [tensor], [lowering.define(result, form, order)])
}
