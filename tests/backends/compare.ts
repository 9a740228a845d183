import type { ParamsTable, QuantPlan } from '@fewbit/core/quant'
import type { Values } from './backend.ts'

export interface Agreement {
  readonly elements: number
  /** Share that lies less than half a step apart: the same code. */
  readonly same: number
  /** Share that lies at most one step apart. */
  readonly within: number
  /** Largest difference in steps. */
  readonly worst: number
}

/** Codes come back as code · scale in float32; a thousandth of a step is far above its error and far below a code. */
const SLACK = 1e-3

/** Differences of two runs in steps of `step`. NaN counts as infinitely far. */
export function compareValues(expected: ArrayLike<number>, got: ArrayLike<number>, step: number): Agreement {
  if (expected.length !== got.length) throw new Error(`${got.length} elements instead of ${expected.length}`)
  let [same, within, worst] = [0, 0, 0]
  for (let i = 0; i < expected.length; i++) {
    const apart = Math.abs((got[i] as number) - (expected[i] as number))
    // A value that is 0 everywhere has no range, and thus no step.
    const steps = apart === 0 ? 0 : Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart / step
    if (steps < 0.5) same++
    if (steps <= 1 + SLACK) within++
    if (steps > worst) worst = steps
  }
  const n = expected.length
  return { elements: n, same: same / n, within: within / n, worst }
}

/** One figure for several outputs. */
export function mergeAgreements(each: readonly Agreement[]): Agreement {
  const elements = each.reduce((n, a) => n + a.elements, 0)
  const share = (key: 'same' | 'within'): number => each.reduce((n, a) => n + a[key] * a.elements, 0) / elements
  return { elements, same: share('same'), within: share('within'), worst: Math.max(...each.map((a) => a.worst)) }
}

export interface Step {
  readonly step: number
  /** `quantizer`: the scale of the output's quantizer. `range`: the output is float, and a step is 1/255 of its range. */
  readonly from: 'quantizer' | 'range'
}

/**
 * The step of a value: the scale that it is quantized with. A value that nobody quantizes gets the step that min-max calibration
 * of 8 bits would give it on these samples.
 */
export function stepOf(name: string, values: ArrayLike<number>, plan: QuantPlan, params: ParamsTable): Step {
  const tensor = plan.tensors.find((t) => t.value === name && t.role === 'activation' && t.graphOutput)
  const scale = tensor && params.get(tensor.group)?.scale[0]
  if (scale !== undefined) return { step: scale, from: 'quantizer' }
  let [lo, hi] = [0, 0]
  for (let i = 0; i < values.length; i++) {
    lo = Math.min(lo, values[i] as number)
    hi = Math.max(hi, values[i] as number)
  }
  return { step: (hi - lo) / 255, from: 'range' }
}

/** Compares every output of the simulation with the engine's. */
export function compareOutputs(simulated: Values, got: Values, stepFor: (name: string) => number): Agreement {
  const each = [...simulated].map(([name, expected]) => {
    const values = got.get(name)
    if (!values) throw new Error(`the engine gave no output "${name}"`)
    return compareValues(expected, values, stepFor(name))
  })
  return mergeAgreements(each)
}
