import type { Node } from '../../../ir/index.ts'
import { intsAttribute, stringAttribute } from '../../../passes/index.ts'
import { type CodeTensor, newCodes, sizeOf } from '../codes.ts'
import type { Grid } from '../scheme.ts'
import { POINT, type Window2, type WindowAxis } from '../window.ts'

/**
 * ConvTranspose as a convolution: the input with stride − 1 zeros between its elements, under the kernel turned around
 * (Dumoulin and Visin, A guide to convolution arithmetic for deep learning, section 4).
 */
export function transposedWindow(node: Node, kernel: readonly number[], spatial: readonly number[]): Window2 {
  const list = (name: string): readonly number[] => intsAttribute(node, name) ?? []
  const [strides, dilations, pads] = [list('strides'), list('dilations'), list('pads')]
  const [extra, wanted] = [list('output_padding'), list('output_shape')]
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET')
  const axes = spatial.map((size, i): WindowAxis => {
    const [k, stride, dilation] = [kernel[i] as number, strides[i] ?? 1, dilations[i] ?? 1]
    const reach = dilation * (k - 1)
    const full = (size - 1) * stride + reach + 1 + (extra[i] ?? 0)
    const target = wanted[i] ?? (auto.startsWith('SAME') ? size * stride : undefined)
    const cut = target === undefined ? undefined : Math.max(0, full - target)
    const half = cut === undefined ? 0 : auto.endsWith('UPPER') ? Math.floor(cut / 2) : Math.ceil(cut / 2)
    const explicit = auto === 'VALID' ? [0, 0] : [pads[i] ?? 0, pads[i + kernel.length] ?? 0]
    const [begin, end] = cut === undefined ? explicit : [half, cut - half]
    return {
      size: (size - 1) * stride + 1,
      kernel: k,
      stride: 1,
      dilation,
      begin: reach - (begin as number),
      paddedEnd: (size - 1) * stride + 1 + reach - (end as number),
      positions: full - (begin as number) - (end as number),
    }
  })
  return axes.length === 1 ? [POINT, axes[0] as WindowAxis] : [axes[0] as WindowAxis, axes[1] as WindowAxis]
}

/** The input with codes of zero between its elements. */
export function stretched(x: CodeTensor, node: Node, { zeroPoint }: Grid): CodeTensor {
  const [n = 1, c = 1, ...spatial] = x.dims
  const strides = intsAttribute(node, 'strides') ?? spatial.map(() => 1)
  const dims = [n, c, ...spatial.map((size, i) => (size - 1) * (strides[i] as number) + 1)]
  const codes = newCodes(x.dtype, sizeOf(dims)).fill(zeroPoint)
  const [height, width] = spatial.length === 1 ? [1, spatial[0] as number] : (spatial as [number, number])
  const [down, right] = strides.length === 1 ? [1, strides[0] as number] : (strides as [number, number])
  const [tall, wide] = [(height - 1) * down + 1, (width - 1) * right + 1]
  for (let plane = 0; plane < n * c; plane++) {
    for (let i = 0; i < height; i++) {
      const from = (plane * height + i) * width
      const to = (plane * tall + i * down) * wide
      for (let j = 0; j < width; j++) codes[to + j * right] = x.codes[from + j] as number
    }
  }
  return { dims, codes, dtype: x.dtype }
}
