import type { Model, Node, Tensor, Value } from '../ir/index.ts'
import { learnedRole, type OpRegistry } from '../ops/index.ts'
import { problem } from '../util/index.ts'
import type { Parameter } from './trainable.ts'

/**
 * The constants of the main graph that training changes, in the order of their first readers. Vectors of elementwise operators count where
 * the other operand depends on a parameter: what stands before the first layer is preprocessing.
 * @throws FewbitError TRAIN_DTYPE for weights in another type than float32.
 */
export function learnedParameters(model: Model, ops: OpRegistry): Parameter[] {
  const found = new Map<Value, Parameter>()
  const behind = new Set<Value>()
  for (const node of model.graph.nodes) {
    const inputs = node.inputs.filter((value) => value !== null)
    const isBehind = inputs.some((value) => behind.has(value))
    for (const [i, value] of node.inputs.entries()) {
      const kind = value?.constant ? roleOf(node, i, value.constant, ops, isBehind) : null
      if (value && kind && !found.has(value)) found.set(value, { name: value.name, kind })
    }
    if (isBehind || inputs.some((value) => found.has(value))) for (const y of node.outputs) if (y) behind.add(y)
  }
  for (const value of found.keys()) checkType(value)
  return [...found.values()]
}

function roleOf(node: Node, i: number, constant: Tensor, ops: OpRegistry, isBehind: boolean) {
  const def = ops.of(node)
  const role = def ? learnedRole(def, i) : null
  if (!def || !role || constant.size <= 1) return role && def && isSummand(def.quant.traits) ? null : role
  if (!isSummand(def.quant.traits)) return role
  const isVector = constant.size === Math.max(...constant.dims)
  return isBehind && isVector ? role : null
}

const isSummand = (traits: readonly string[] | undefined): boolean => traits?.includes('elementwise') ?? false

function checkType(value: Value): void {
  const dtype = value.constant?.dtype
  if (dtype === 'float32') return
  throw problem('TRAIN_DTYPE', `"${value.name}" is ${dtype}; only float32 networks are trained`, {
    at: { value: value.name },
    fix: 'convert the network to float32 first',
  })
}
