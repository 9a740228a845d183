import type { Node } from '../../../ir/index.ts'
import { intsAttribute } from '../../../passes/index.ts'

/** First elements, sizes and steps of a Slice along every axis. */
export interface SliceRange {
  readonly starts: readonly number[]
  readonly dims: readonly number[]
  readonly steps: readonly number[]
}

/** @returns undefined where the bounds are computed. */
export function sliceOf(node: Node): ((dims: readonly number[]) => SliceRange) | undefined {
  const given = (name: string, i: number): readonly number[] | undefined =>
    intsAttribute(node, name) ?? node.inputs[i]?.constant?.integers()
  if (node.inputs.slice(1).some((value) => value && !value.constant)) return undefined
  const [starts, ends] = [given('starts', 1), given('ends', 2)]
  if (!starts || !ends) return undefined
  const [axes, steps] = [given('axes', 3), given('steps', 4)]
  return (dims) => {
    const range = { starts: dims.map(() => 0), dims: [...dims], steps: dims.map(() => 1) }
    starts.forEach((start, i) => {
      const axis = axes ? ((axes[i] as number) + dims.length) % dims.length : i
      const [first, count] = along(dims[axis] as number, start, ends[i] as number, steps?.[i] ?? 1)
      range.starts[axis] = first
      range.dims[axis] = count
      range.steps[axis] = steps?.[i] ?? 1
    })
    return range
  }
}

/** First index and number of elements (onnx.ai, Slice-13). */
function along(size: number, start: number, end: number, step: number): [number, number] {
  const wrapped = (i: number): number => (i < 0 ? i + size : i)
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1]
  const clamp = (i: number): number => Math.max(low, Math.min(high, i))
  const first = Math.max(0, clamp(wrapped(start)))
  const last = clamp(wrapped(end))
  return [first, Math.max(0, Math.ceil((last - first) / step))]
}
