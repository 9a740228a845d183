import type { Node } from '../../../ir/index.ts'
import { clipBounds } from '../../../passes/index.ts'
import { type CodeArray, type CodeTensor, newCodes } from '../codes.ts'
import type { Grid, Scheme } from '../scheme.ts'
import { quantizer } from '../schemes/real-values.ts'
import { numbersOf } from './attributes.ts'
import type { BuildLayer, Result } from './layer.ts'
import { dataOf } from './pools.ts'

/** A result for each code, from the lowest on. */
export interface Table {
  readonly codes: CodeArray
  readonly lowest: number
  readonly dtype: Grid['dtype']
}

/** All results of a function on codes, cut to a range. */
export function tableOf(from: Grid, { grid, min, max }: Result, code: (x: number) => number): Table {
  const codes = newCodes(grid.dtype, from.max - from.min + 1)
  for (let x = from.min; x <= from.max; x++) codes[x - from.min] = Math.max(min, Math.min(max, code(x)))
  return { codes, lowest: from.min, dtype: grid.dtype }
}

export function lookUp({ dims, codes }: CodeTensor, { codes: table, lowest, dtype }: Table): CodeTensor {
  const out = newCodes(dtype, codes.length)
  for (let i = 0; i < out.length; i++) out[i] = table[(codes[i] as number) - lowest] as number
  return { dims, codes: out, dtype }
}

/** Any operator of one operand: a table over its codes. */
export const unary: BuildLayer = ({ node, operands, result, scheme, real }) => {
  const x = dataOf(operands[0])
  if (!x) return 'its data are not codes'
  if (!result) return 'its result is not requantized'
  const cuts = node.opType === 'Relu' || node.opType === 'Clip'
  const range = cuts ? rangeOf(node, result, scheme) : result
  if (!range) return 'its bounds are computed while the model runs'
  const site = { opType: node.opType, attributes: numbersOf(node), input: x.grid, output: result.grid }
  const code = scheme.unary?.({ ...site, real: cuts ? undefined : real })
  if (!code) return `this arithmetic has no kernel for ${node.opType}`
  const table = tableOf(x.grid, range, code)
  return { reads: [0], makes: 'result', run: ([data]) => lookUp(data as CodeTensor, table) }
}

/** Codes that a Relu or Clip leaves, and what it takes in behind it. */
function rangeOf(node: Node, { grid, min, max }: Result, { rounding }: Scheme): Result | undefined {
  const bounds = clipBounds(node)
  if (!bounds) return undefined
  const code = quantizer(grid, rounding)
  return { grid, min: Math.max(min, code(bounds.lo)), max: Math.min(max, code(bounds.hi)) }
}
