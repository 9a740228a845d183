import type { Dim } from '../../ir/index.ts'
import { isFloat } from '../../util/index.ts'
import type { InferContext } from '../define-op.ts'
import { broadcastElements } from './broadcast.ts'

/** A function of numbers as shape arithmetic: null for open operands and for results that are not finite. */
export type ElementRule = (cx: InferContext) => readonly Dim[] | undefined

/**
 * Elementwise arithmetic over the first `arity` inputs in the precision of input `from`.
 * @param symbolic what can be said when an operand is a symbol or unknown.
 */
export const elementRule =
  (
    exact: (...operands: number[]) => number,
    arity: number,
    symbolic: (...operands: Dim[]) => Dim = () => null,
  ): ElementRule =>
  (cx) => {
    const positions = Array.from({ length: arity }, (_, i) => i)
    const narrow = narrowing(cx)
    return broadcastElements(cx, positions, (...operands) => {
      if (!operands.every((d) => typeof d === 'number')) return symbolic(...operands)
      const value = narrow(exact(...(operands as number[])))
      return Number.isFinite(value) ? value : null
    })
  }

/** Floating point in float32 (half types compute in it), integers truncated as integer division does. */
function narrowing(cx: InferContext): (value: number) => number {
  const dtype = cx.input(0)?.dtype
  if (dtype === 'float64') return (value) => value
  return dtype && isFloat(dtype) ? Math.fround : Math.trunc
}
