import { asTensor, type Node } from '../../../ir/index.ts'
import { intAttribute, intsAttribute } from '../../../passes/index.ts'
import { type CodeTensor, newCodes, sizeOf } from '../codes.ts'
import type { Grid, Requantize, Scheme } from '../scheme.ts'
import { offsetsOf } from './broadcast.ts'
import type { BuildLayer, Result } from './layer.ts'
import { dataOf } from './pools.ts'

/** Means over all of height and width, or over any axes. */
export const mean: BuildLayer = ({ node, operands, result, scheme }) => {
  const x = dataOf(operands[0])
  if (!x) return 'its data are not codes'
  if (!result) return 'its result is not requantized'
  if (!scheme.mean) return `this arithmetic has no kernel for ${node.opType}`
  const rank = asTensor(node.inputs[0]?.type)?.shape?.length
  const axes = rank === undefined ? undefined : axesOf(node, rank)
  if (!axes) return 'its axes are not known'
  const make = scheme.mean.bind(scheme)
  const trial = make({ input: x.grid, output: result.grid, count: 1 })
  if (typeof trial === 'string') return trial
  const keeps = node.opType === 'GlobalAveragePool' || intAttribute(node, 'keepdims', 1) === 1
  return {
    reads: [0],
    makes: 'result',
    run: ([data]) => meanOver(data as CodeTensor, { axes, keeps, input: x.grid, result, make }),
  }
}

function axesOf(node: Node, rank: number): number[] | undefined {
  if (node.opType === 'GlobalAveragePool') return Array.from({ length: rank - 2 }, (_, i) => i + 2)
  const given = intsAttribute(node, 'axes') ?? node.inputs[1]?.constant?.numbers()
  if (!given && node.inputs[1]) return undefined
  if (!given) return Array.from({ length: rank }, (_, i) => i)
  return Array.from(given, (axis) => (axis < 0 ? axis + rank : axis)).sort((a, z) => a - z)
}

interface Means {
  readonly axes: readonly number[]
  readonly keeps: boolean
  readonly input: Grid
  readonly result: Result
  readonly make: NonNullable<Scheme['mean']>
}

function meanOver({ dims, codes }: CodeTensor, { axes, keeps, input, result, make }: Means): CodeTensor {
  const { grid, min, max } = result
  const kept = dims.map((d, axis) => (axes.includes(axis) ? 1 : d))
  const count = axes.reduce((n, axis) => n * (dims[axis] as number), 1)
  const isImage = dims.length === 4 && axes.join() === '2,3'
  const channels = dims[1] ?? 1
  const scaled = make({ input, output: grid, count, ...(isImage ? { images: channels } : {}) }) as Requantize
  const sums = new Float64Array(sizeOf(kept))
  const at = offsetsOf(kept, dims)
  for (let i = 0; i < codes.length; i++)
    sums[at[i] as number] = (sums[at[i] as number] as number) + (codes[i] as number)
  const out = newCodes(grid.dtype, sums.length)
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.max(min, Math.min(max, scaled(sums[i] as number, isImage ? i % channels : 0)))
  }
  return { dims: keeps ? kept : dims.filter((_, axis) => !axes.includes(axis)), codes: out, dtype: grid.dtype }
}
