import { type CodeTensor, newCodes } from '../codes.ts'
import { dequantizer } from '../schemes/real-values.ts'
import { offsetsOf } from './broadcast.ts'
import type { BuildLayer, Operand } from './layer.ts'
import { dataOf } from './pools.ts'
import { type Table, tableOf } from './tables.ts'

/** A slope for each channel, or for each element: a table for each. */
export const prelu: BuildLayer = ({ node, operands, result, scheme }) => {
  const x = dataOf(operands[0])
  if (!x) return 'its data are not codes'
  if (!result) return 'its result is not requantized'
  const slopes = slopesOf(operands[1])
  if (!slopes) return 'its slopes are computed while the model runs'
  const tables = slopes.each.map((attributes) => {
    const real = (v: number): number => (v >= 0 ? v : v * attributes.alpha)
    const code = scheme.unary?.({ opType: 'PRelu', attributes, input: x.grid, output: result.grid, real })
    return code && tableOf(x.grid, result, code)
  })
  if (!tables.every((table) => table !== undefined)) return `this arithmetic has no kernel for ${node.opType}`
  return {
    reads: [0],
    makes: 'result',
    run: ([data]) => {
      const { dims, codes } = data as CodeTensor
      const which = offsetsOf(slopes.dims, dims)
      const out = newCodes(result.grid.dtype, codes.length)
      for (let i = 0; i < out.length; i++) {
        const { codes: table, lowest } = tables[which[i] as number] as Table
        out[i] = table[(codes[i] as number) - lowest] as number
      }
      return { dims, codes: out, dtype: result.grid.dtype }
    },
  }
}

interface Slopes {
  readonly dims: readonly number[]
  readonly each: readonly { readonly alpha: number; readonly slope?: number; readonly slopeScale?: number }[]
}

function slopesOf(operand: Operand | undefined): Slopes | undefined {
  if (operand?.kind === 'constant') {
    const { dims } = operand.tensor
    return { dims, each: Array.from(operand.tensor.numbers(), (alpha) => ({ alpha })) }
  }
  if (operand?.kind !== 'codes' || !operand.constant) return undefined
  const { grid, constant } = operand
  const real = dequantizer(grid)
  const each = Array.from(constant.codes, (code) => {
    return { alpha: real(code), slope: code - grid.zeroPoint, slopeScale: grid.scale }
  })
  return { dims: constant.dims, each }
}
