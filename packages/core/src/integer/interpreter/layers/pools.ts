import type { Node } from '../../../ir/index.ts'
import { intAttribute, intsAttribute } from '../../../passes/index.ts'
import { type CodeTensor, newCodes, sizeOf } from '../codes.ts'
import type { Average, Grid } from '../scheme.ts'
import { type Window2, type WindowAxis, windowOf } from '../window.ts'
import { greatestUnder } from './greatest.ts'
import type { BuildLayer, Operand, Result } from './layer.ts'

type Coded = Extract<Operand, { kind: 'codes' }>

export const dataOf = (operand: Operand | undefined): Coded | undefined =>
  operand?.kind === 'codes' && !operand.constant ? operand : undefined

const spatialProblem = (node: Node): string | undefined => {
  const kernel = intsAttribute(node, 'kernel_shape') ?? []
  return kernel.length < 1 || kernel.length > 2 ? `it has ${kernel.length} spatial axes` : undefined
}

/** The greatest code: scales are positive. */
export const maxPool: BuildLayer = ({ node, operands }) => {
  if (!dataOf(operands[0])) return 'its data are not codes'
  if (node.outputs[1]) return 'it gives indices'
  const problem = spatialProblem(node)
  if (problem) return problem
  return {
    reads: [0],
    makes: 'input',
    run: ([x], kernels) => {
      const data = x as CodeTensor
      const window = windowOf(node, intsAttribute(node, 'kernel_shape') ?? [], data.dims.slice(2)) as Window2
      return greatestUnder(data, window, kernels)
    },
  }
}

export const globalMaxPool: BuildLayer = ({ operands }) => {
  if (!dataOf(operands[0])) return 'its data are not codes'
  return { reads: [0], makes: 'input', run: ([x]) => greatest(x as CodeTensor) }
}

function greatest({ dims, codes, dtype }: CodeTensor): CodeTensor {
  const [batch = 1, channels = 1, ...spatial] = dims
  const out = newCodes(dtype, batch * channels)
  const area = sizeOf(spatial)
  for (let c = 0; c < out.length; c++) {
    let most = codes[c * area] as number
    for (let i = 1; i < area; i++) most = Math.max(most, codes[c * area + i] as number)
    out[c] = most
  }
  return { dims: [batch, channels, ...spatial.map(() => 1)], codes: out, dtype }
}

export const averagePool: BuildLayer = ({ node, operands, result, scheme }) => {
  const x = dataOf(operands[0])
  if (!x) return 'its data are not codes'
  if (!result) return 'its result is not requantized'
  const problem = spatialProblem(node)
  if (problem) return problem
  const average = scheme.average?.({ input: x.grid, output: result.grid })
  if (typeof average === 'string') return average
  if (!average) return `this arithmetic has no kernel for ${node.opType}`
  const cut = clampedAverage(average, result)
  return { reads: [0], makes: 'result', run: ([data]) => pooled(data as CodeTensor, node, result.grid.dtype, cut) }
}

const clampedAverage =
  (average: Average, { min, max }: Result): Average =>
  (codes, count, divisor, channel) =>
    Math.max(min, Math.min(max, average(codes, count, divisor, channel)))

function pooled(x: CodeTensor, node: Node, dtype: Grid['dtype'], reduce: Average): CodeTensor {
  const [batch = 1, channels = 1, ...spatial] = x.dims
  const window = windowOf(node, intsAttribute(node, 'kernel_shape') ?? [], spatial) as Window2
  const plane = window[0].positions * window[1].positions
  const codes = newCodes(dtype, batch * channels * plane)
  const seen = new Int32Array(window[0].kernel * window[1].kernel)
  const includesPadding = intAttribute(node, 'count_include_pad', 0) === 1
  for (let c = 0; c < batch * channels; c++) {
    for (let p = 0; p < plane; p++) {
      const at = { row: Math.floor(p / window[1].positions), column: p % window[1].positions }
      const count = collect(x, c, window, at, seen)
      const divisor = includesPadding ? paddedCount(window, at) : count
      codes[c * plane + p] = reduce(seen, count, divisor, c % channels)
    }
  }
  const dims = [batch, channels, ...window.map((axis) => axis.positions).slice(-spatial.length)]
  return { dims, codes, dtype }
}

interface Position {
  readonly row: number
  readonly column: number
}

/** The codes under a window that are there, row by row. */
function collect({ codes }: CodeTensor, plane: number, [v, h]: Window2, at: Position, seen: Int32Array): number {
  const [top, left] = [at.row * v.stride - v.begin, at.column * h.stride - h.begin]
  let count = 0
  for (let i = 0; i < v.kernel; i++) {
    const y = top + i * v.dilation
    if (y < 0 || y >= v.size) continue
    const line = (plane * v.size + y) * h.size
    for (let j = 0; j < h.kernel; j++) {
      const x = left + j * h.dilation
      if (x >= 0 && x < h.size) seen[count++] = codes[line + x] as number
    }
  }
  return count
}

/** Elements under a window with the padding that was asked for, but not what hangs over it. */
function paddedCount([v, h]: Window2, at: Position): number {
  return inside(v, at.row) * inside(h, at.column)
}

function inside(axis: WindowAxis, position: number): number {
  const end = axis.paddedEnd
  let count = 0
  for (let i = 0; i < axis.kernel; i++) if (position * axis.stride - axis.begin + i * axis.dilation < end) count++
  return count
}
