import { intAttribute } from '../../../passes/index.ts'
import { type CodeTensor, newCodes, sizeOf } from '../codes.ts'
import type { SoftmaxRow } from '../scheme.ts'
import type { BuildLayer } from './layer.ts'
import { dataOf } from './pools.ts'

/** Softmax over one axis, before opset 13 over all from one on. */
export const softmax: BuildLayer = ({ node, operands, result, scheme, opset }) => {
  const x = dataOf(operands[0])
  if (!x) return 'its data are not codes'
  if (!result) return 'its result is not requantized'
  const make = scheme.softmax?.bind(scheme)
  if (!make) return `this arithmetic has no kernel for ${node.opType}`
  const joins = opset < 13
  const given = intAttribute(node, 'axis', joins ? 1 : -1)
  const site = { input: x.grid, output: result.grid }
  return {
    reads: [0],
    makes: 'result',
    run([data]) {
      const { dims, codes } = data as CodeTensor
      const axis = given < 0 ? given + dims.length : given
      const length = joins ? sizeOf(dims.slice(axis)) : (dims[axis] as number)
      const inner = joins ? 1 : sizeOf(dims.slice(axis + 1))
      const out = newCodes(result.grid.dtype, codes.length)
      overRows(codes, out, { length, inner, row: make({ ...site, length }) })
      return { dims, codes: out, dtype: result.grid.dtype }
    },
  }
}

interface Rows {
  readonly length: number
  /** Elements from one of a row to the next. */
  readonly inner: number
  readonly row: SoftmaxRow
}

function overRows(codes: CodeTensor['codes'], out: CodeTensor['codes'], { length, inner, row }: Rows): void {
  const [from, to] = [new Int32Array(length), new Int32Array(length)]
  for (let r = 0; r < codes.length / length; r++) {
    const start = Math.floor(r / inner) * length * inner + (r % inner)
    for (let i = 0; i < length; i++) from[i] = codes[start + i * inner] as number
    row(from, to)
    for (let i = 0; i < length; i++) out[start + i * inner] = to[i] as number
  }
}
