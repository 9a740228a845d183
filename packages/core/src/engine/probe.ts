import { asTensor, cloneModel, graphValues, type Model, type Value } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import { isInternalOnly } from './guard.ts'

/**
 * A copy of the model with intermediates of its main graph as further outputs.
 * @throws FewbitError PROBE_MISSING for a name that the graph does not compute, ENGINE_UNSUPPORTED for a type that cannot
 * leave the graph.
 */
export function probeModel(model: Model, names: readonly string[]): Model {
  const copy = cloneModel(model)
  const values = new Map([...graphValues(copy.graph)].map((value) => [value.name, value]))
  for (const name of names) {
    const value = values.get(name)
    if (!value) throw problem('PROBE_MISSING', `the graph has no value "${name}"`, { at: { value: name } })
    refuseInternal(value)
    if (!copy.graph.isOutput(value)) copy.graph.outputs.push(value)
  }
  return copy
}

function refuseInternal(value: Value): void {
  const dtype = asTensor(value.type)?.dtype
  if (dtype === undefined || !isInternalOnly(dtype)) return
  throw problem('ENGINE_UNSUPPORTED', `"${value.name}" is ${dtype}, which cannot leave the graph`, {
    at: { value: value.name },
    fix: 'probe the value before it is quantized, or after it is dequantized',
  })
}
