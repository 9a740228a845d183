import type { Tensor } from '../../ir/index.ts'
import type { OscillationMode } from '../../qat/index.ts'
import { must } from '../../util/index.ts'

/** Weights of one tensor that turn from code to code, or did. Shares, 0 to 1. */
export interface OscillatingWeight {
  readonly weight: string
  readonly elements: number
  readonly oscillating: number
  readonly frozen: number
}

/** How many weights oscillate at the end of training. JSON. */
export interface OscillationReport extends Omit<OscillatingWeight, 'weight'> {
  readonly mode: OscillationMode
  /** The frequency above which a weight counts as oscillating. */
  readonly above: number
  readonly weights: readonly OscillatingWeight[]
}

/** As the paper counts them: Nagel et al. 2022, arXiv:2203.11086. */
const ABOVE = 0.005

/**
 * What the constraint's state says of the weights. Frozen ones do not count as oscillating, although their frequency takes time to fade.
 * @param state by `weight/frequency` and `weight/frozen`.
 */
export function oscillationReport(
  mode: OscillationMode,
  weights: readonly string[],
  state: ReadonlyMap<string, Tensor>,
): OscillationReport {
  const counted = weights.map((weight) => {
    const [frequency, mask] = ['frequency', 'frozen'].map((slot) => {
      return Array.from(must(state.get(`${weight}/${slot}`), `${slot} of "${weight}"`).numbers(), Number)
    }) as [number[], number[]]
    const frozen = mask.filter((v) => v > 0.5).length
    const oscillating = frequency.filter((f, i) => f > ABOVE && (mask[i] as number) < 0.5).length
    return { weight, elements: frequency.length, oscillating, frozen }
  })
  const sum = (of: (w: (typeof counted)[number]) => number) => counted.reduce((total, w) => total + of(w), 0)
  const elements = sum((w) => w.elements)
  const share = (n: number, all: number) => n / Math.max(1, all)
  return {
    ...{ mode, above: ABOVE, elements },
    oscillating: share(
      sum((w) => w.oscillating),
      elements,
    ),
    frozen: share(
      sum((w) => w.frozen),
      elements,
    ),
    weights: counted.map((w) => ({
      ...w,
      oscillating: share(w.oscillating, w.elements),
      frozen: share(w.frozen, w.elements),
    })),
  }
}
