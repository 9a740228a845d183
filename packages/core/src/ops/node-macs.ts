import { asTensor, type Model, type Node, tensorType, type Value, type ValueType } from '../ir/index.ts'
import { DECLARED_FACTS, inferContext } from './infer.ts'
import { type OpRegistry, versionIn } from './registry.ts'

/** Multiply-accumulates of one node for one sample (an open first axis counts as 1), or undefined while other sizes are open. */
export function nodeMacs(node: Node, model: Model, ops: OpRegistry): number | undefined {
  const def = ops.of(node)
  const version = def && versionIn(def, model)
  if (!def?.macs || version === undefined) return undefined
  const facts = { ...DECLARED_FACTS, type: (value: Value) => oneSample(value.type) }
  const shapes = node.outputs.map((value) => asTensor(oneSample(value?.type))?.shape)
  return def.macs(inferContext(def, node, version, { facts }), shapes)
}

function oneSample(type: ValueType | undefined): ValueType | undefined {
  const tensor = asTensor(type)
  const [batch, ...rest] = tensor?.shape ?? []
  return tensor && batch !== undefined && typeof batch !== 'number' ? tensorType(tensor.dtype, [1, ...rest]) : type
}
