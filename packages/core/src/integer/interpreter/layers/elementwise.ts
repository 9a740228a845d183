import { type CodeTensor, newCodes } from '../codes.ts'
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
  const [left, right] = [offsetsOf(x.dims, dims), offsetsOf(y.dims, dims)]
  const codes = newCodes(grid.dtype, left.length)
  for (let i = 0; i < codes.length; i++) {
    const code = combine(x.codes[left[i] as number] as number, y.codes[right[i] as number] as number)
    codes[i] = code < min ? min : code > max ? max : code
  }
  return { dims, codes, dtype: grid.dtype }
}
