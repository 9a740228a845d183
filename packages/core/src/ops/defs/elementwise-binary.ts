import type { Dim } from '../../ir/index.ts'
import { tensorType } from '../../ir/index.ts'
import { int, string } from '../attrs.ts'
import { type AttrSchema, defineOp, type InferContext, type OpDef } from '../define-op.ts'
import { BINARY_GRADS } from '../grads/binary.ts'
import { type ElementRule, elementRule } from '../shared/arithmetic.ts'
import { broadcastShapes } from '../shared/broadcast.ts'
import { addDims, mulDims, subDims } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'
import type { LearnedRole, Trait } from '../traits.ts'

interface Binary {
  readonly attrs?: AttrSchema
  readonly elements?: ElementRule
  readonly traits?: readonly Trait[]
  readonly grad?: OpDef['grad']
  readonly learned?: LearnedRole
}

const broadcastInputs = (cx: InferContext) =>
  broadcastShapes(
    cx,
    Array.from({ length: cx.inputCount }, (_, i) => cx.input(i)?.shape),
  )

/** Before version 7 the second operand was stretched to the first one's shape, at `axis`. */
const binaryShape = (cx: InferContext) => (cx.version < 7 ? cx.input(0)?.shape : broadcastInputs(cx))

const binary = (
  type: string,
  since: readonly number[],
  { attrs = {}, elements, traits = [], grad, learned }: Binary = {},
): OpDef =>
  defineOp({
    type,
    since,
    inputs: ['A', 'B'],
    outputs: ['C'],
    attrs,
    elements,
    grad,
    infer: (cx) => [typed(cx, binaryShape(cx)) ?? typed(cx, binaryShape(cx), undefined, 1)],
    quant: { roles: ['activation', 'activation'], traits: ['elementwise', ...traits] },
    ...(learned && { learned: [learned, learned] }),
  })

/** Operands of a type that quantization has no business with. */
const bitwise = (type: string, since: readonly number[], attrs: AttrSchema = {}): OpDef => ({
  ...binary(type, since, { attrs }),
  quant: { traits: ['elementwise'] },
})

const comparison = (type: string, since: readonly number[], elements: ElementRule): OpDef =>
  defineOp({
    type,
    since,
    inputs: ['A', 'B'],
    outputs: ['C'],
    elements,
    infer: (cx) => [tensorType('bool', binaryShape(cx))],
    quant: { traits: ['elementwise'] },
  })

const variadic = (
  type: keyof typeof BINARY_GRADS,
  since: readonly number[],
  combine?: (...operands: number[]) => number,
): OpDef =>
  defineOp({
    type,
    since,
    inputs: ['data...'],
    outputs: ['result'],
    infer: (cx) => [typed(cx, broadcastInputs(cx))],
    grad: BINARY_GRADS[type],
    elements: combine && ((cx) => elementRule(combine, cx.inputCount, onlyOperand)(cx)),
    quant: { roles: ['activation'], traits: ['elementwise'] },
  })

const onlyOperand = (...operands: Dim[]): Dim =>
  operands.every((d) => d === operands[0]) ? (operands[0] ?? null) : null

const truth = (value: boolean): number => (value ? 1 : 0)

const compare = (f: (a: number, b: number) => boolean, symbolic?: (a: Dim, b: Dim) => Dim): ElementRule =>
  elementRule((a = 0, b = 0) => truth(f(a, b)), 2, symbolic as (...operands: Dim[]) => Dim)

/** A size is never negative, so it differs from a negative number; equal symbols are equal. */
function equalSymbols(a: Dim, b: Dim): Dim {
  if (typeof a === 'string' && a === b) return 1
  const [number, symbol] = typeof a === 'number' ? [a, b] : [b, a]
  return typeof symbol === 'string' && typeof number === 'number' && number < 0 ? 0 : null
}

function divideDims(a: Dim = null, b: Dim = null): Dim {
  return b === 1 ? a : typeof a === 'string' && a === b ? 1 : null
}

const modulo: ElementRule = (cx) =>
  elementRule((a = 0, b = 0) => (cx.attrs.fmod ? a % b : a - b * Math.floor(a / b)), 2)(cx)

export const ARITHMETIC: readonly OpDef[] = [
  binary('Add', [1, 6, 7, 13, 14], {
    learned: 'bias',
    grad: BINARY_GRADS.Add,
    elements: elementRule(
      (a = 0, b = 0) => a + b,
      2,
      (a = null, b = null) => addDims(a, b),
    ),
  }),
  binary('Sub', [1, 6, 7, 13, 14], {
    learned: 'bias',
    grad: BINARY_GRADS.Sub,
    elements: elementRule(
      (a = 0, b = 0) => a - b,
      2,
      (a = null, b = null) => subDims(a, b),
    ),
  }),
  binary('Mul', [1, 6, 7, 13, 14], {
    learned: 'norm',
    grad: BINARY_GRADS.Mul,
    elements: elementRule(
      (a = 0, b = 0) => a * b,
      2,
      (a = null, b = null) => mulDims(a, b),
    ),
  }),
  binary('Div', [1, 6, 7, 13, 14], {
    learned: 'norm',
    grad: BINARY_GRADS.Div,
    elements: elementRule((a = 0, b = 0) => a / b, 2, divideDims),
  }),
  binary('Pow', [1, 7, 12, 13, 15], { grad: BINARY_GRADS.Pow, elements: elementRule((a = 0, b = 0) => a ** b, 2) }),
  binary('Mod', [10, 13], { attrs: { fmod: int(0) }, elements: modulo }),
  variadic('Min', [1, 6, 8, 12, 13], Math.min),
  variadic('Max', [1, 6, 8, 12, 13], Math.max),
  variadic('Sum', [1, 6, 8, 13], (...operands) => operands.reduce((a, b) => a + b, 0)),
  variadic('Mean', [1, 6, 8, 13]),
]

export const BINARY_LOGIC: readonly OpDef[] = [
  comparison(
    'And',
    [1, 7],
    compare((a, b) => a !== 0 && b !== 0),
  ),
  comparison(
    'Or',
    [1, 7],
    compare((a, b) => a !== 0 || b !== 0),
  ),
  comparison(
    'Xor',
    [1, 7],
    compare((a, b) => (a !== 0) !== (b !== 0)),
  ),
  comparison(
    'Equal',
    [1, 7, 11, 13, 19],
    compare((a, b) => a === b, equalSymbols),
  ),
  comparison(
    'Greater',
    [1, 7, 9, 13],
    compare((a, b) => a > b),
  ),
  comparison(
    'Less',
    [1, 7, 9, 13],
    compare((a, b) => a < b),
  ),
  comparison(
    'GreaterOrEqual',
    [12, 16],
    compare((a, b) => a >= b),
  ),
  comparison(
    'LessOrEqual',
    [12, 16],
    compare((a, b) => a <= b),
  ),
  bitwise('BitShift', [11], { direction: string() }),
  bitwise('BitwiseAnd', [18]),
  bitwise('BitwiseOr', [18]),
  bitwise('BitwiseXor', [18]),
]
