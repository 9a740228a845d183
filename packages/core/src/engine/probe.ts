import { asTensor, cloneModel, elementCount, graphValues, type Model, type Value } from '../ir/index.ts'
import { byteLength, problem } from '../util/index.ts'
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

/** What an activation of open shape is taken to need. */
const UNKNOWN_BYTES = 2 ** 22

/**
 * Splits names into groups whose tensors together stay below `maxBytes` for each run, at least one name in each: run the
 * groups one after the other over the same data to bound memory. Sizes come from shapes, open axes counted as one.
 */
export function probeGroups(model: Model, names: readonly string[], maxBytes = 2 ** 28): string[][] {
  const values = new Map([...graphValues(model.graph)].map((value) => [value.name, value]))
  const groups: string[][] = []
  let room = 0
  for (const name of names) {
    const bytes = sizeOf(values.get(name))
    const group = groups.at(-1)
    if (group && bytes <= room) group.push(name)
    else groups.push([name])
    room = (group && bytes <= room ? room : maxBytes) - bytes
  }
  return groups
}

function sizeOf(value: Value | undefined): number {
  const type = asTensor(value?.type)
  const count = elementCount(type?.shape?.map((dim) => (typeof dim === 'number' ? dim : 1)))
  return type && count !== undefined ? byteLength(type.dtype, count) : UNKNOWN_BYTES
}
