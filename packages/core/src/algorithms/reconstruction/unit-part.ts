import { asTensor, extract, type Model, Tensor, tensorType } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { Diagnostics, must } from '../../util/index.ts'
import type { UnitData } from './unit-data.ts'
import type { Unit } from './units.ts'

/**
 * A unit as a network of its own that takes batches of one size, whatever size the network fixes.
 * @returns undefined where something in it fixes another size all the same.
 */
export function partOf(model: Model, unit: Unit, data: UnitData, batch: number, ops: OpRegistry): Model | undefined {
  const part = extract(model, unit.inputs, unit.outputs)
  for (const input of part.graph.inputs) {
    const { dims } = must(data.seen.get(input.name), `data of "${input.name}"`)
    input.type = tensorType(asTensor(input.type)?.dtype ?? 'float32', [batch, ...dims])
  }
  const fixed = fixedBatch(model)
  if (fixed !== undefined && fixed !== batch) openReshapes(part, fixed, batch)
  const contradictions = new Diagnostics()
  try {
    inferShapes(part, { ops, diagnostics: contradictions, trustDeclared: false })
  } catch {
    return undefined
  }
  const fits = part.graph.outputs.every((output) => {
    const shape = asTensor(output.type)?.shape
    const wanted = [batch, ...must(data.targets.get(output.name), `data of "${output.name}"`).dims]
    return !shape || (shape.length === wanted.length && shape.every((d, i) => typeof d !== 'number' || d === wanted[i]))
  })
  return fits && contradictions.list.length === 0 ? part : undefined
}

/** The size of batches that all inputs of a network fix. */
function fixedBatch({ graph }: Model): number | undefined {
  const sizes = new Set(graph.inputs.filter((x) => !x.constant).map(({ type }) => asTensor(type)?.shape?.[0]))
  const [size] = sizes
  return sizes.size === 1 && typeof size === 'number' ? size : undefined
}

/** Exporters write the batch into the shapes that Reshape takes: its first axis, which counts samples, takes as many as there are. */
function openReshapes({ graph }: Model, fixed: number, batch: number): void {
  for (const { qualifiedType, inputs } of graph.nodes) {
    const shape = inputs[1]
    if (qualifiedType !== 'Reshape' || !shape?.constant) continue
    const [first, ...rest] = shape.constant.numbers()
    if (first === fixed) shape.constant = Tensor.int64(shape.constant.dims, [batch, ...rest])
  }
}
