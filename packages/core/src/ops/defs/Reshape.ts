import type { Dim, Shape } from '../../ir/index.ts'
import { from, int } from '../attrs.ts'
import { defineOp, type InferContext } from '../define-op.ts'
import { reshapeGrad } from '../grads/layout.ts'
import { lengthOf } from '../shared/data-rules.ts'
import { openShape } from '../shared/dims.ts'
import { typed } from '../shared/rules.ts'

export const Reshape = defineOp({
  type: 'Reshape',
  since: [1, 5, 13, 14, 19, 21, 23, 24, 25],
  inputs: ['data', 'shape'],
  outputs: ['reshaped'],
  attrs: { allowzero: from(14, int(0)) },
  infer: (cx) => [typed(cx, reshape(cx, cx.attrs.allowzero === 1))],
  elements: (cx) => cx.flatElements(0),
  grad: reshapeGrad,
  quant: { roles: ['activation', 'parameter'], traits: ['scale-preserving'] },
})

function reshape(cx: InferContext, allowZero: boolean): Shape | undefined {
  const target = cx.elements(1)
  const rank = lengthOf(cx, 1)
  if (!target) return rank === undefined ? undefined : openShape(rank)
  const input = cx.input(0)?.shape
  const copied = (d: Dim): boolean => d === 0 && !allowZero
  const output = target.map((d, i) => (copied(d) ? (input?.[i] ?? null) : d === -1 ? null : d))
  const open = target.flatMap((d, i) => (d === -1 || d === null ? [i] : []))
  const kept = new Set(target.flatMap((d, i) => (copied(d) ? [i] : [])))
  const rest =
    input &&
    quotient(
      input.filter((_, i) => !kept.has(i)),
      output.filter((_, i) => !kept.has(i) && !open.includes(i)),
    )
  const [hole] = open
  if (open.length === 0 && typeof rest === 'number' && rest !== 1) {
    cx.mismatch(`[${input?.join(', ')}] cannot take the shape [${target.join(', ')}]`)
  }
  if (typeof rest === 'number' && !Number.isInteger(rest)) {
    cx.mismatch(`[${input?.join(', ')}] cannot be divided into [${target.join(', ')}]`)
  }
  return open.length === 1 && hole !== undefined ? output.with(hole, rest ?? null) : output
}

/** Product of `above` over product of `below`, with equal symbols cancelled; null where it stays open. */
function quotient(above: Shape, below: Shape): Dim {
  const rest = [...above]
  let divisor = 1
  for (const d of below) {
    if (d === null) return null
    if (typeof d === 'number') divisor *= d
    else if (rest.includes(d)) rest.splice(rest.indexOf(d), 1)
    else return null
  }
  const symbols = rest.filter((d) => typeof d !== 'number')
  const size = rest.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1)
  if (divisor === 0) return null
  if (symbols.length === 0) return size / divisor
  return symbols.length === 1 && size === divisor ? (symbols[0] ?? null) : null
}
