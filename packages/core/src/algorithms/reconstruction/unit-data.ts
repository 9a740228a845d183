import { type Batch, dropPadding } from '../../engine/index.ts'
import type { Tensor, Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { PiecewiseNetwork, type RunnableNetwork } from '../rounding/piecewise.ts'
import { CachedRows } from './cached-rows.ts'
import type { Unit } from './units.ts'

type RowsByName = ReadonlyMap<string, CachedRows>

/** What a unit sees and what it should make of it, for all calibration samples, by value name. */
export interface UnitData {
  readonly count: number
  /** Its inputs in the quantized network, units before it reconstructed. */
  readonly seen: RowsByName
  /** The same in float. */
  readonly float: RowsByName
  /** Its outputs in float. */
  readonly targets: RowsByName
  /** What differences of outputs are multiplied with. */
  readonly weights?: RowsByName
}

/** The calibration samples on their way through the float and the quantized network, a unit further each time. */
export class Journey {
  readonly #float: PiecewiseNetwork
  readonly #quantized: PiecewiseNetwork
  readonly #batches: readonly Batch[]

  constructor(engine: ConstructorParameters<typeof PiecewiseNetwork>[0], batches: readonly Batch[]) {
    const feeds = batches.map((batch) => batch.feeds)
    this.#batches = batches
    this.#float = new PiecewiseNetwork(engine, feeds)
    this.#quantized = new PiecewiseNetwork(engine, feeds)
  }

  /** Undefined where axis 0 of some value does not count samples, or samples differ in size. */
  async to(unit: Unit, float: RunnableNetwork, quantized: RunnableNetwork): Promise<UnitData | undefined> {
    const [inputs, outputs] = [unit.inputs, unit.outputs].map((values) => values.map(nameOf)) as [string[], string[]]
    const real = await this.#rows(this.#float, float, [...inputs, ...outputs])
    const seen = await this.#rows(this.#quantized, quantized, inputs)
    if (!real || !seen) return undefined
    const pick = (names: readonly string[]) => new Map(names.map((name) => [name, must(real.get(name), name)] as const))
    const count = this.#batches.reduce((n, batch) => n + batch.samples.length, 0)
    return { count, seen, float: pick(inputs), targets: pick(outputs) }
  }

  async #rows(network: PiecewiseNetwork, now: RunnableNetwork, names: readonly string[]) {
    const parts = new Map<string, Tensor[]>(names.map((name) => [name, []]))
    let [i, areRows] = [0, true]
    for await (const made of network.run(now, names)) {
      const batch = must(this.#batches[i++], 'batch')
      const real = dropPadding(made, batch)
      for (const [name, list] of parts) {
        const tensor = must(real[name], `value "${name}"`)
        areRows &&= tensor.dims[0] === batch.samples.length && sameRows(tensor, list[0])
        list.push(tensor)
      }
    }
    return areRows ? new Map([...parts].map(([name, list]) => [name, new CachedRows(list)])) : undefined
  }
}

const nameOf = ({ name }: Value): string => name
const sameRows = ({ dims }: Tensor, first: Tensor | undefined): boolean =>
  first === undefined || dims.slice(1).join() === first.dims.slice(1).join()
