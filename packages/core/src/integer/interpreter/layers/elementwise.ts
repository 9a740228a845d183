import { type CodeArray, type CodeTensor, newCodes, sizeOf } from '../codes.ts'
import type { Combine, Grid } from '../scheme.ts'
import { broadcastDims, offsetsOf } from './broadcast.ts'
import type { BuildLayer, Operand, Site } from './layer.ts'

type Coded = Extract<Operand, { kind: 'codes' }>

/** Add, Sub and Mul of codes, constants among them. */
export const binary: BuildLayer = (site) => {
  const [a, b] = site.operands
  if (a?.kind !== 'codes' || b?.kind !== 'codes' || (a.constant && b.constant))
    return 'one of its operands is not codes'
  if (!site.result) return 'its result is not requantized'
  const combine = combineOf(site, a.grid, b.grid, site.result.grid)
  if (typeof combine === 'string') return combine
  if (!combine) return `this arithmetic has no kernel for ${site.node.opType}`
  return {
    reads: [a, b].flatMap((operand, i) => (operand.constant ? [] : [i])),
    makes: 'result',
    run: (inputs) => {
      const given = [...inputs]
      const next = ({ constant }: Coded): CodeTensor => constant ?? (given.shift() as CodeTensor)
      return combined(next(a), next(b), combine, site)
    },
  }
}

function combineOf({ node, scheme }: Site, a: Grid, b: Grid, output: Grid): Combine | string | undefined {
  if (node.opType === 'Mul') return scheme.mul?.({ a, b, output })
  return scheme.add?.({ a, b, output }, node.opType === 'Sub' ? -1 : 1)
}

function combined(x: CodeTensor, y: CodeTensor, combine: Combine, { result }: Site): CodeTensor {
  const { grid, min, max } = result as NonNullable<Site['result']>
  const dims = broadcastDims(x.dims, y.dims)
  const [a, b] = [spread(x, dims), spread(y, dims)]
  const codes = newCodes(grid.dtype, a.length)
  for (let i = 0; i < codes.length; i++) {
    const code = combine(a[i] as number, b[i] as number)
    codes[i] = code < min ? min : code > max ? max : code
  }
  return { dims, codes, dtype: grid.dtype }
}

/** The codes as they are, or repeated along the axes that the operand has not. */
function spread(x: CodeTensor, dims: readonly number[]): CodeArray {
  if (x.codes.length === sizeOf(dims)) return x.codes
  const offsets = offsetsOf(x.dims, dims)
  const codes = newCodes(x.dtype, offsets.length)
  for (let i = 0; i < codes.length; i++) codes[i] = x.codes[offsets[i] as number] as number
  return codes
}
