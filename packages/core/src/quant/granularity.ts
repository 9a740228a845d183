import { problem } from '../util/index.ts'
import type { Granularity } from './spec.ts'

/**
 * Number of scales that a tensor of shape `dims` has: 1, its channels, or its groups. Groups are ONNX's blocks: the axis is cut
 * into ceil(n / size) parts, and every other index has its own.
 */
export function paramCount(dims: readonly number[], granularity: Granularity): number {
  if (granularity.kind === 'tensor') return 1
  const { outer, length, inner } = aroundAxis(dims, granularity.axis)
  return granularity.kind === 'channel' ? length : outer * Math.ceil(length / granularity.size) * inner
}

/**
 * Visits every element once, in runs of neighbours that share parameter `p`; `p` counts row-major in the shape of the scales.
 */
export function forEachRun(
  dims: readonly number[],
  granularity: Granularity,
  visit: (start: number, end: number, p: number) => void,
): void {
  if (granularity.kind === 'tensor') {
    visit(0, product(dims), 0)
    return
  }
  const { outer, length, inner } = aroundAxis(dims, granularity.axis)
  if (granularity.kind === 'channel') {
    for (let run = 0; run < outer * length; run++) visit(run * inner, (run + 1) * inner, run % length)
    return
  }
  const groups = Math.ceil(length / granularity.size)
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < length; c++) {
      const start = (o * length + c) * inner
      const p = (o * groups + Math.floor(c / granularity.size)) * inner
      for (let i = 0; i < inner; i++) visit(start + i, start + i + 1, p + i)
    }
  }
}

function aroundAxis(dims: readonly number[], axis: number): { outer: number; length: number; inner: number } {
  const a = axis < 0 ? axis + dims.length : axis
  const length = dims[a]
  if (length === undefined) throw problem('QUANT_AXIS', `axis ${axis} is outside a tensor of rank ${dims.length}`)
  return { outer: product(dims.slice(0, a)), length, inner: product(dims.slice(a + 1)) }
}

const product = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)
