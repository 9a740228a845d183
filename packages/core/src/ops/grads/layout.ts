import { attribute, type Dim, type Value } from '../../ir/index.ts'
import type { int, optional, string } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { normalizeAxis } from '../shared/dims.ts'
import { unbroadcast } from './broadcast.ts'

type Int = ReturnType<typeof int>

/** Elements stay in order: Reshape, Flatten, Squeeze, Unsqueeze. */
export function reshapeGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  return [dy && cx.g.reshapeLike(dy, cx.x(0))]
}

export function transposeGrad(cx: GradContext<{ perm: ReturnType<typeof optional<readonly number[]>> }>): Gradients {
  const dy = cx.dy(0)
  if (!dy) return []
  const { perm } = cx.attrs
  if (!perm) return [cx.g.op('Transpose', [dy])]
  return [
    cx.g.transpose(
      dy,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ]
}

export function expandGrad(cx: GradContext): Gradients {
  const dy = cx.dy(0)
  return [dy && unbroadcast(cx, dy, cx.output(0)?.shape, cx.input(0)?.shape)]
}

/** Each input gets its own stretch of the axis. */
export function concatGrad(cx: GradContext<{ axis: Int }>): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  const rank = cx.output(0)?.shape?.length
  if (!dy) return []
  if (rank === undefined) return cx.open('the rank of the data')
  const axis = normalizeAxis(cx, cx.attrs.axis, rank)
  const lengths = Array.from({ length: cx.inputCount }, (_, i) => lengthAlong(cx, i, axis))
  return lengths.map((length, i) => {
    const start = lengths.slice(0, i).reduce((a, b) => a + b, 0)
    return cx.wanted(i) ? g.op('Slice', [dy, g.ints([start]), g.ints([start + length]), g.ints([axis])]) : null
  })
}

function lengthAlong(cx: GradContext, i: number, axis: number): number {
  const length: Dim = cx.input(i)?.shape?.[axis] ?? null
  return typeof length === 'number' ? length : cx.open(`axis ${axis} of input ${i}`)
}

/** Parts that the loss does not depend on count as zero. */
export function splitGrad(cx: GradContext<{ axis: Int }>): Gradients {
  const parts: Value[] = Array.from({ length: cx.outputCount }, (_, i) => cx.dy(i) ?? cx.g.zerosLike(cx.y(i)))
  return [cx.g.op('Concat', parts, { axis: attribute.int(cx.attrs.axis) })]
}

/** The inverse rearrangement. */
export function depthToSpaceGrad(cx: GradContext<{ blocksize: Int; mode: ReturnType<typeof string> }>): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  const { blocksize: b, mode } = cx.attrs
  if (mode === 'DCR') return [g.op('SpaceToDepth', [dy], { blocksize: attribute.int(b) })]
  const [, channels, height, width] = cx.output(0)?.shape ?? []
  if (typeof channels !== 'number' || typeof height !== 'number' || typeof width !== 'number') {
    return cx.open('channels and spatial sizes')
  }
  const blocks = g.reshape(dy, [0, channels, height / b, b, width / b, b])
  return [g.reshapeLike(g.transpose(blocks, [0, 1, 3, 5, 2, 4]), cx.x(0))]
}

export function spaceToDepthGrad(cx: GradContext<{ blocksize: Int }>): Gradients {
  const dy = cx.dy(0)
  return [dy && cx.g.op('DepthToSpace', [dy], { blocksize: attribute.int(cx.attrs.blocksize) })]
}
