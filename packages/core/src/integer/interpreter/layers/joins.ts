import { intAttribute } from '../../../passes/index.ts'
import { type CodeTensor, newCodes, sameGrid, sizeOf } from '../codes.ts'
import type { Grid } from '../scheme.ts'
import type { BuildLayer } from './layer.ts'
import { lookUp, type Table, tableOf } from './tables.ts'

/** Concat: codes are copied where grids agree, and brought to the grid of the result elsewhere. */
export const concat: BuildLayer = ({ node, operands, result, scheme }) => {
  if (!operands.every((operand) => operand.kind === 'codes')) return 'one of its operands is not codes'
  const coded = operands.flatMap((operand) => (operand.kind === 'codes' ? [operand] : []))
  const [first] = coded
  const sameInputs = coded.every(({ grid }) => sameGrid(grid, (first as (typeof coded)[0]).grid))
  if (!result && !sameInputs) return 'its operands are on different grids, and its result is not requantized'
  const clips = result !== undefined && (result.min > result.grid.min || result.max < result.grid.max)
  const tables = coded.map(({ grid }) =>
    result && (clips || !sameGrid(grid, result.grid)) ? tableFor(grid, result, scheme.rescale) : undefined,
  )
  return {
    reads: coded.flatMap((operand, i) => (operand.constant ? [] : [i])),
    makes: result ? 'result' : 'input',
    run: (inputs) => {
      const given = [...inputs]
      const parts = coded.map(({ constant }, i) => {
        const part = constant ?? (given.shift() as CodeTensor)
        const table = tables[i]
        return table ? lookUp(part, table) : part
      })
      return joined(parts, intAttribute(node, 'axis', 0))
    },
  }
}

function tableFor(
  from: Grid,
  result: Parameters<typeof tableOf>[1],
  rescale: (from: Grid, to: Grid) => (code: number) => number,
): Table {
  return tableOf(from, result, sameGrid(from, result.grid) ? (code) => code : rescale(from, result.grid))
}

function joined(parts: readonly CodeTensor[], along: number): CodeTensor {
  const [head] = parts as [CodeTensor]
  const axis = along < 0 ? along + head.dims.length : along
  const dims = head.dims.map((d, i) => (i === axis ? parts.reduce((n, p) => n + (p.dims[axis] as number), 0) : d))
  const codes = newCodes(head.dtype, sizeOf(dims))
  const row = sizeOf(dims.slice(axis))
  let at = 0
  for (const part of parts) {
    const length = sizeOf(part.dims.slice(axis))
    for (let o = 0; o * length < part.codes.length; o++) {
      codes.set(part.codes.subarray(o * length, (o + 1) * length), o * row + at)
    }
    at += length
  }
  return { dims, codes, dtype: head.dtype }
}
