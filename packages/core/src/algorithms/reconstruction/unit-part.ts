import { asTensor, extract, type Model, tensorType } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { must } from '../../util/index.ts'
import type { UnitData } from './unit-data.ts'
import type { Unit } from './units.ts'

/**
 * A unit as a network of its own that takes batches of one size.
 * @returns undefined where something in it fixes another size.
 */
export function partOf(model: Model, unit: Unit, data: UnitData, batch: number, ops: OpRegistry): Model | undefined {
  const part = extract(model, unit.inputs, unit.outputs)
  for (const input of part.graph.inputs) {
    const { dims } = must(data.seen.get(input.name), `data of "${input.name}"`)
    input.type = tensorType(asTensor(input.type)?.dtype ?? 'float32', [batch, ...dims])
  }
  try {
    inferShapes(part, { ops, trustDeclared: false })
  } catch {
    return undefined
  }
  const fits = part.graph.outputs.every((output) => {
    const shape = asTensor(output.type)?.shape
    const wanted = [batch, ...must(data.targets.get(output.name), `data of "${output.name}"`).dims]
    return !shape || (shape.length === wanted.length && shape.every((d, i) => typeof d !== 'number' || d === wanted[i]))
  })
  return fits ? part : undefined
}
