import { Tensor } from '../../../ir/index.ts'
import { type CodeTensor, newCodes, sizeOf } from '../codes.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { Grid, Requantize, SumSite } from '../scheme.ts'
import { broadcastDims, offsetsOf } from './broadcast.ts'
import type { BuildLayer, Site } from './layer.ts'
import { clamped } from './requantize.ts'
import { copyRows } from './rows.ts'
import { wideDots } from './wide-sums.ts'

/** MatMul of two activations, or with a constant of more than two axes: both operands less their zero points. */
export function matmulOfActivations(site: Site): ReturnType<BuildLayer> {
  const [a, b] = site.operands
  if (a?.kind !== 'codes' || b?.kind !== 'codes' || (a.constant && b.constant))
    return 'one of its operands is not codes'
  if (!fits(a.grid) || !fits(b.grid)) return 'codes less their zero point leave 16 bits'
  const convert = converter(site, a.grid, b.grid)
  if (typeof convert === 'string') return convert
  const reads = [a, b].flatMap((operand, i) => (operand.constant ? [] : [i]))
  return {
    reads,
    makes: site.result ? 'result' : 'real',
    run(inputs, kernels) {
      const given = [...inputs]
      const [x, y] = [a, b].map(({ constant }) => constant ?? (given.shift() as CodeTensor)) as [CodeTensor, CodeTensor]
      return product({ x, y, a: a.grid, b: b.grid, convert, site }, kernels)
    },
  }
}

const fits = ({ min, max, zeroPoint }: Grid): boolean => min - zeroPoint >= -32768 && max - zeroPoint <= 32767

/** The farthest that a code is from the zero point. */
const reach = ({ min, max, zeroPoint }: Grid): number => Math.max(max - zeroPoint, zeroPoint - min)

function converter({ node, scheme, result }: Site, input: Grid, weight: Grid): Requantize | string {
  const sums: SumSite = {
    opType: node.opType,
    depthwise: false,
    grouped: false,
    channels: 1,
    input,
    weightScales: [weight.scale],
  }
  if (result) {
    const requantize = scheme.sums(sums, result.grid)
    return typeof requantize === 'string' ? requantize : clamped(requantize, result)
  }
  return (
    scheme.real?.(sums) ?? 'its sums are not requantized, and this arithmetic has no kernel that hands over real values'
  )
}

interface Job {
  readonly x: CodeTensor
  readonly y: CodeTensor
  readonly a: Grid
  readonly b: Grid
  readonly convert: Requantize
  readonly site: Site
}

function product({ x, y, a, b, convert, site }: Job, kernels: Kernels): CodeTensor | Tensor {
  const [left, right] = [x.dims.length > 1 ? x.dims : [1, ...x.dims], y.dims.length > 1 ? y.dims : [...y.dims, 1]]
  const [m, k] = left.slice(-2) as [number, number]
  const n = right.at(-1) as number
  const batch = broadcastDims(left.slice(0, -2), right.slice(0, -2))
  const [from, other] = [offsetsOf(left.slice(0, -2), batch), offsetsOf(right.slice(0, -2), batch)]
  const count = sizeOf(batch)
  const grid = site.result?.grid
  const out = grid ? newCodes(grid.dtype, count * m * n) : new Float32Array(count * m * n)
  for (let i = 0; i < count; i++) {
    const mark = kernels.mark()
    const rows = kernels.rows(m, k)
    copyRows(x, (from[i] as number) * m * k, k, a.zeroPoint, rows)
    const columns = kernels.rows(n, k)
    const to = columns.data
    const start = (other[i] as number) * k * n
    for (let p = 0; p < k; p++) {
      for (let j = 0; j < n; j++) to[j * columns.stride + p] = (y.codes[start + p * n + j] as number) - b.zeroPoint
    }
    const sums = reach(a) * reach(b) * k < 2 ** 31 ? kernels.dots(rows, columns) : wideDots(rows, columns, kernels)
    for (let p = 0; p < m * n; p++) out[i * m * n + p] = convert(sums[p] as number, 0)
    kernels.release(mark)
  }
  const dims = [...batch, ...(x.dims.length > 1 ? [m] : []), ...(y.dims.length > 1 ? [n] : [])]
  return out instanceof Float32Array ? Tensor.float32(dims, out) : { dims, codes: out, dtype: grid?.dtype ?? 'int32' }
}
