import type { Dim } from '../../ir/index.ts'
import type { InferContext } from '../define-op.ts'
import { knownElements } from './dims.ts'

/** Scale factors from a float input; undefined while unknown or when the input holds no elements. */
export function scalesOf(cx: InferContext, i: number): readonly number[] | undefined {
  const scales = knownElements(cx, i)
  return scales && scales.length > 0 ? scales : undefined
}

/** floor(size · scale), multiplied in float32 as runtimes do. */
export function scaleDim(d: Dim, scale: number): Dim {
  if (typeof d === 'number') return Math.floor(Math.fround(d * Math.fround(scale)))
  return scale === 1 ? d : null
}
