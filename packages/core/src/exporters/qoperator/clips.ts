import { type Node, Tensor, type Value } from '../../ir/index.ts'
import { codeOf, type Quantized } from './quantized.ts'

/** Bounds of a Relu or Clip; undefined for other operators and for bounds that are computed. */
export function clipBounds(node: Node): { readonly lo: number; readonly hi: number } | undefined {
  if (node.qualifiedType === 'Relu') return { lo: 0, hi: Number.POSITIVE_INFINITY }
  if (node.qualifiedType !== 'Clip') return undefined
  const lo = bound(node.inputs[1], Number.NEGATIVE_INFINITY)
  const hi = bound(node.inputs[2], Number.POSITIVE_INFINITY)
  return lo === undefined || hi === undefined ? undefined : { lo, hi }
}

const bound = (value: Value | null | undefined, open: number): number | undefined =>
  value ? value.constant?.numbers()[0] : open

/**
 * The codes that a chain of Relu and Clip leaves. Quantization is monotone, so that clipping codes at the codes of the bounds equals
 * quantizing what was clipped; where the codes end there by themselves, nothing is left to do and the answer is undefined.
 */
export function codesLeft(
  chain: readonly Node[],
  q: Quantized,
): { readonly lo: number; readonly hi: number } | undefined {
  const [min, max] = q.dtype === 'uint8' ? [0, 255] : [-128, 127]
  let [lo, hi] = [min, max]
  for (const node of chain) {
    const bounds = clipBounds(node) ?? { lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY }
    lo = Math.min(Math.max(lo, codeOf(bounds.lo, q)), hi)
    hi = Math.max(Math.min(hi, codeOf(bounds.hi, q)), lo)
  }
  return lo === min && hi === max ? undefined : { lo, hi }
}

export const scalar = (q: Quantized, code: number): Tensor => Tensor.fromNumbers(q.dtype, [], [code])
