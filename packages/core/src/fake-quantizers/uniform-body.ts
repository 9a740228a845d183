import { MIN_SCALE } from '../quant/index.ts'
import { type Arithmetic, divideLines, roundLines } from './arithmetic.ts'
import { QAT_DOMAIN } from './define.ts'

export interface FunctionParts {
  readonly type: string
  readonly inputs: readonly string[]
  /** Names of attributes that calls must give. */
  readonly required: readonly string[]
  /** The others, with defaults in the text form: `mask = "rounded"`. */
  readonly optional?: readonly string[]
  readonly lines: readonly string[]
}

/**
 * An ONNX function with output `y`, in the model's version of ai.onnx: engines read bodies so, whatever they import. Every line has to mean
 * the same from opset 13 on, which leaves out reductions other than ReduceSum.
 */
export function functionText({ type, inputs, required, optional = [], lines }: FunctionParts): string {
  const attributes = [`attributes = [${required.join(', ')}]`, ...optional].join(', ')
  const header = `function ${QAT_DOMAIN}::${type} <${attributes}>`
  return `${header} (${inputs.join(', ')}) => (y)\n{\n  ${lines.join('\n  ')}\n}`
}

/** `name` as scalar from the attribute of this name. */
export const attributeLine = (name: string): string => `${name} = Constant<value_float = @FLOAT(${name})>()`

/** Of a trained scale: its size, and never so small that no float32 scale could be deployed. */
export const STEP_LINES: readonly string[] = [
  `least = Constant<value_float = ${MIN_SCALE}>()`,
  'size = Abs(scale)',
  'step = Max(size, least)',
]

/** A trained zero point as it is deployed: whole, and a code. */
export const ZERO_LINES: readonly string[] = ['whole = Round(zero_point)', 'zero = Clip(whole, quant_min, quant_max)']

export interface GridLines {
  readonly arithmetic: Arithmetic
  /** The zero point is no scalar, and Clip takes none but scalars. */
  readonly perChannel: boolean
  /** What is quantized; default `x`. */
  readonly from?: string
  /** Default `y`. */
  readonly to?: string
}

/**
 * to = (clip(R(from / step) + zero, quant_min, quant_max) − zero) · step. Where the zero point is added behind rounding, it moves into the
 * bounds, so that four operators touch every element: adding a whole number is exact.
 */
export function gridLines({ arithmetic, perChannel, from = 'x', to = 'y' }: GridLines): string[] {
  const steps = divideLines(arithmetic, from, 'step', 'steps')
  if (arithmetic.addThenRound) {
    return [
      ...steps,
      'shifted = Add(steps, zero)',
      ...roundLines(arithmetic, 'shifted', 'rounded'),
      'codes = Clip(rounded, quant_min, quant_max)',
      'back = Sub(codes, zero)',
      `${to} = Mul(back, step)`,
    ]
  }
  const clip = perChannel
    ? ['raised = Max(rounded, low)', 'codes = Min(raised, high)']
    : ['codes = Clip(rounded, low, high)']
  return [
    'low = Sub(quant_min, zero)',
    'high = Sub(quant_max, zero)',
    ...steps,
    ...roundLines(arithmetic, 'steps', 'rounded'),
    ...clip,
    `${to} = Mul(codes, step)`,
  ]
}
