import { objective, type RoundingProblem } from '@fewbit/core/algorithms'
import { rng } from '@fewbit/core/util'

interface Size {
  readonly groups?: number
  readonly rows: number
  readonly terms: number
  readonly bits: number
}

/** Normal weights on grids of one scale a row, and correlated inputs: G of a few normal vectors that share a mean. */
export function randomProblem(seed: number, { groups = 1, rows, terms, bits }: Size): RoundingProblem {
  const random = rng(seed)
  const all = groups * rows
  const gram = new Float64Array(groups * terms * terms)
  for (let g = 0; g < groups; g++) {
    for (let n = 0; n < 2 * terms; n++) {
      const common = 1 + random.normal()
      const x = Array.from({ length: terms }, () => common + 0.7 * random.normal())
      for (let i = 0; i < terms; i++) {
        for (let j = 0; j < terms; j++) {
          const at = (g * terms + i) * terms + j
          gram[at] = (gram[at] as number) + (x[i] as number) * (x[j] as number)
        }
      }
    }
  }
  return {
    ...{ groups, rows, terms, gram },
    target: Float64Array.from({ length: all * terms }, () => random.normal()),
    param: Uint32Array.from({ length: all * terms }, (_, at) => Math.floor(at / terms)),
    scale: Float64Array.from({ length: all }, () => 4 / 2 ** bits + 0.1 * random.next()),
    zeroPoint: new Float64Array(all),
    quantMin: -(2 ** (bits - 1)),
    quantMax: 2 ** (bits - 1) - 1,
  }
}

/** The least objective over all codes of a problem of one row. */
export function leastObjective(problem: RoundingProblem): number {
  const { terms, quantMin, quantMax } = problem
  const count = quantMax - quantMin + 1
  let least = Number.POSITIVE_INFINITY
  const codes = new Int32Array(terms)
  for (let n = 0; n < count ** terms; n++) {
    for (let k = 0, rest = n; k < terms; k++, rest = Math.floor(rest / count)) codes[k] = quantMin + (rest % count)
    least = Math.min(least, objective(problem, codes))
  }
  return least
}
