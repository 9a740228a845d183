import { type GraphBuilder, tensorType, type Value } from '../ir/index.ts'
import type { Progress, Scalars } from './progress.ts'

/** Inputs for numbers that change from step to step. */
export class ScalarInputs {
  readonly #b: GraphBuilder
  readonly #sources: { readonly compute: Scalars; readonly inputs: Readonly<Record<string, Value>> }[] = []

  constructor(b: GraphBuilder) {
    this.#b = b
  }

  /** An input for each number. @param prefix what their names begin with. */
  add(prefix: string, compute: Scalars | undefined): Readonly<Record<string, Value>> {
    if (!compute) return {}
    const names = Object.keys(compute({ step: 1, total: 1 }))
    const input = (name: string): Value => this.#b.input(`${prefix}_${name}`, tensorType('float32', []))
    const inputs = Object.fromEntries(names.map((name) => [name, input(name)]))
    this.#sources.push({ compute, inputs })
    return inputs
  }

  /** All numbers by input of the graph. */
  all(): (progress: Progress) => Record<string, number> {
    const sources = this.#sources.map(({ compute, inputs }) => {
      return { compute, names: Object.entries(inputs).map(([name, value]) => [name, value.name] as const) }
    })
    return (progress) => {
      const fed: Record<string, number> = {}
      for (const { compute, names } of sources) {
        const numbers = compute(progress)
        for (const [name, input] of names) fed[input] = numbers[name] as number
      }
      return fed
    }
  }
}
