import type { QuantSpec } from '../quant/index.ts'
import { ROUND, type RoundingMode } from '../util/index.ts'

/** How a backend gets from values to codes. Each has operators of its own, because an ONNX function cannot branch on an attribute. */
export interface Arithmetic {
  readonly rounding: Exclude<RoundingMode, 'stochastic'>
  readonly reciprocal: boolean
  readonly addThenRound: boolean
}

const MODES = ['half-even', 'half-away', 'half-up', 'half-down', 'half-toward-zero', 'ceil', 'floor'] as const

export const ARITHMETICS: readonly Arithmetic[] = MODES.flatMap((rounding) =>
  [false, true].flatMap((reciprocal) => [false, true].map((addThenRound) => ({ rounding, reciprocal, addThenRound }))),
)

/** The arithmetic of a spec. Stochastic rounding trains as rounding to the nearest, which is what it does on average. */
export function arithmeticOf({ rounding = 'half-even', reciprocal, addThenRound }: QuantSpec): Arithmetic {
  return {
    rounding: rounding === 'stochastic' ? 'half-even' : rounding,
    reciprocal: reciprocal === true,
    addThenRound: addThenRound === true,
  }
}

/** What the names of operators of this arithmetic end in; nothing for division and rounding half to even. */
export function suffixOf({ rounding, reciprocal, addThenRound }: Arithmetic): string {
  const words = rounding === 'half-even' ? [] : rounding.split('-')
  const mode = words.map((word) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`).join('')
  return `${mode}${reciprocal ? 'Reciprocal' : ''}${addThenRound ? 'AddThenRound' : ''}`
}

const HALF_UP = ['Mul 2', 'Floor', 'Mul 0.5', 'Ceil']
const HALF_DOWN = ['Mul 2', 'Ceil', 'Mul 0.5', 'Floor']

/** Exact, as in `quant/fake-quantize-graph.ts`; `mirrored` ones round magnitudes. */
const STEPS: Readonly<Record<Arithmetic['rounding'], { readonly mirrored?: true; readonly steps: readonly string[] }>> =
  {
    'half-even': { steps: ['Round'] },
    'half-up': { steps: HALF_UP },
    'half-down': { steps: HALF_DOWN },
    'half-away': { mirrored: true, steps: HALF_UP },
    'half-toward-zero': { mirrored: true, steps: HALF_DOWN },
    ceil: { steps: ['Ceil'] },
    floor: { steps: ['Floor'] },
  }

/** Lines of a function body that round `from` to `to`. */
export function roundLines({ rounding }: Arithmetic, from: string, to: string): string[] {
  const { mirrored, steps } = STEPS[rounding]
  const start = mirrored ? `${to}_size` : from
  const end = mirrored ? `${to}_rounded` : to
  const lines = steps.flatMap((step, i) => {
    const [input, output] = [i === 0 ? start : `${to}_${i}`, i === steps.length - 1 ? end : `${to}_${i + 1}`]
    const [op, factor] = step.split(' ')
    if (factor === undefined) return [`${output} = ${op}(${input})`]
    const name = `${output}_factor`
    return [`${name} = Constant<value_float = ${Number(factor).toFixed(1)}>()`, `${output} = ${op}(${input}, ${name})`]
  })
  if (!mirrored) return lines
  return [`${start} = Abs(${from})`, `${to}_sign = Sign(${from})`, ...lines, `${to} = Mul(${end}, ${to}_sign)`]
}

/** Lines that divide `x` by `step`, as the backend does it. */
export function divideLines({ reciprocal }: Arithmetic, x: string, step: string, to: string): string[] {
  if (!reciprocal) return [`${to} = Div(${x}, ${step})`]
  return [
    `${to}_one = Constant<value_float = 1.0>()`,
    `${to}_factor = Div(${to}_one, ${step})`,
    `${to} = Mul(${x}, ${to}_factor)`,
  ]
}

/** The interval of real numbers of steps that round to codes from `low` to `high`. Ends that round outward lie just beyond it. */
export function roundedInterval(rounding: Arithmetic['rounding'], low: number, high: number): [number, number] {
  const round = (v: number) => ROUND[rounding](v, 0)
  const top = [high + 1, high + 0.5, high].flatMap((v) => [v, below(v)]).find((v) => round(v) <= high)
  const bottom = [low - 1, low - 0.5, low].flatMap((v) => [v, -below(-v)]).find((v) => round(v) >= low)
  return [bottom ?? low, top ?? high]
}

/** How far beyond the outermost codes that interval reaches, whatever the codes are; ties at its ends count as inside. */
export const MARGINS: Readonly<Record<Arithmetic['rounding'], readonly [number, number]>> = {
  'half-even': [0.5, 0.5],
  'half-away': [0.5, 0.5],
  'half-up': [0.5, 0.5],
  'half-down': [0.5, 0.5],
  'half-toward-zero': [0.5, 0.5],
  ceil: [1, 0],
  floor: [0, 1],
}

/** A float32 number so little below that no code in use tells the difference, and that survives a product with a scale. */
const below = (v: number): number => v - Math.max(Math.abs(v), 1) * 2 ** -22
