import { type CodeArray, type CodeTensor, newCodes } from '../codes.ts'
import type { Grid, UnarySite } from '../scheme.ts'
import { numbersOf } from './attributes.ts'
import type { BuildLayer, Result } from './layer.ts'

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
export const unary: BuildLayer = ({ node, operands, result, scheme }) => {
  const [x] = operands
  if (x?.kind !== 'codes' || x.constant) return 'its data are not codes'
  if (!result) return 'its result is not requantized'
  const site: UnarySite = { opType: node.opType, attributes: numbersOf(node), input: x.grid, output: result.grid }
  const code = scheme.unary?.(site)
  if (!code) return `this arithmetic has no kernel for ${node.opType}`
  const table = tableOf(x.grid, result, code)
  return { reads: [0], makes: 'result', run: ([data]) => lookUp(data as CodeTensor, table) }
}
