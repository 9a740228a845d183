import { type Shape, tensorType } from '../../../ir/index.ts'
import { int, ints } from '../../attrs.ts'
import { defineOp, type InferContext } from '../../define-op.ts'
import { convShape, groupedConvAttrs } from '../../shared/conv-shape.ts'
import { poolAttrs, poolShape } from '../../shared/pool-shape.ts'
import { typed } from '../../shared/rules.ts'

/** Runs a rule for [N, C, spatial…] on an input 0 of [N, spatial…, C]. */
export function nhwc<C extends InferContext>(cx: C, rule: (cx: C) => Shape | undefined): Shape | undefined {
  const x = cx.input(0)
  if (!x?.shape) return undefined
  const [n = null, ...rest] = x.shape
  const first = tensorType(x.dtype, [n, rest.at(-1) ?? null, ...rest.slice(0, -1)])
  const output = rule({ ...cx, input: (i: number) => (i === 0 ? first : cx.input(i)) })
  return output && [output[0] ?? null, ...output.slice(2), output[1] ?? null]
}

export const nhwcConvShape = (cx: InferContext<typeof groupedConvAttrs>, weight: number, channelsLast: boolean) =>
  channelsLast ? nhwc(cx, (c) => convShape(c, weight)) : convShape(cx, weight)

const common = { domain: 'com.microsoft', since: [1], outputs: ['Y'] } as const

export const NhwcMaxPool = defineOp({
  ...common,
  type: 'NhwcMaxPool',
  inputs: ['x'],
  outputs: ['y'],
  attrs: { ...poolAttrs, ceil_mode: int(0), dilations: ints([]) },
  infer: (cx) => [
    typed(
      cx,
      nhwc(cx, (c) => poolShape(c, cx.attrs)),
    ),
  ],
  quant: { roles: ['activation'], traits: ['scale-preserving'] },
})

export const NhwcConv = defineOp({
  ...common,
  type: 'NhwcConv',
  inputs: ['X', 'W', 'B?'],
  attrs: groupedConvAttrs,
  infer: (cx) => [typed(cx, nhwcConvShape(cx, 1, true))],
  quant: { roles: ['activation', 'weight', 'bias'], traits: ['accumulates'] },
  weightChannelAxis: () => 0,
})
