import { type CodeTensor, newCodes } from '../codes.ts'
import type { Window2, WindowAxis } from '../window.ts'

/** The greatest code under each window: down columns first, whose results stand side by side, then along rows. */
export function greatestUnder({ dims, codes, dtype }: CodeTensor, [v, h]: Window2): CodeTensor {
  const [batch = 1, channels = 1, ...spatial] = dims
  const planes = batch * channels
  const columns = slid({ dims, codes, dtype }, { outer: planes, axis: v, inner: h.size })
  const { codes: out } = slid(columns, { outer: planes * v.positions, axis: h, inner: 1 })
  const positions = [v.positions, h.positions].slice(-spatial.length)
  return { dims: [batch, channels, ...positions], codes: out, dtype }
}

interface Slide {
  readonly outer: number
  readonly axis: WindowAxis
  readonly inner: number
}

function slid(x: CodeTensor, { outer, axis, inner }: Slide): CodeTensor {
  const { size, kernel, stride, dilation, begin, positions } = axis
  const { codes: given, dtype } = x
  if (kernel === 1 && stride === 1 && begin === 0 && positions === size) return x
  const codes = newCodes(dtype, outer * positions * inner)
  for (let o = 0; o < outer; o++) {
    for (let p = 0; p < positions; p++) {
      const to = (o * positions + p) * inner
      let isFirst = true
      for (let k = 0; k < kernel; k++) {
        const at = p * stride - begin + k * dilation
        if (at < 0 || at >= size) continue
        const from = (o * size + at) * inner
        for (let i = 0; i < inner; i++) {
          const code = given[from + i] as number
          if (isFirst || code > (codes[to + i] as number)) codes[to + i] = code
        }
        isFirst = false
      }
    }
  }
  return { ...x, codes }
}
