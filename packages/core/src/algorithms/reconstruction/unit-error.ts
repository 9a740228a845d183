import type { Model, Tensor } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { writePart } from '../layer-outputs/index.ts'
import type { UnitData } from './unit-data.ts'

/**
 * The squared error of a unit's outputs as it would be deployed now, over all samples, as a share of the squares of what they are in float.
 * @param part as `partOf` makes it; it is written to.
 */
export async function unitError(part: Model, data: UnitData, batch: number, cx: QuantizedContext): Promise<number> {
  const session = await cx.engine.load(writePart(part, cx), cx.load)
  let [error, power] = [0, 0]
  try {
    for (let start = 0; start < data.count; start += batch) {
      // The last batch is filled with its last sample, which counts once.
      const rows = Array.from({ length: batch }, (_, i) => Math.min(start + i, data.count - 1))
      const real = Math.min(batch, data.count - start)
      const outputs = await session.run(
        Object.fromEntries([...data.seen].map(([name, cached]) => [name, cached.batch(rows)])),
      )
      for (const [name, cached] of data.targets) {
        const found = squares(must(outputs[name], name), cached.batch(rows), real / batch)
        error += found.error
        power += found.power
      }
    }
  } finally {
    await session.release()
  }
  return power > 0 ? error / power : error
}

function squares(output: Tensor, target: Tensor, share: number) {
  const [y, t] = [output.numbers(), target.numbers()]
  let [error, power] = [0, 0]
  for (let i = 0; i < y.length * share; i++) {
    const wanted = t[i] as number
    error += ((y[i] as number) - wanted) ** 2
    power += wanted ** 2
  }
  return { error, power }
}
