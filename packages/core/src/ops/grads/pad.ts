import { attribute, type Value } from '../../ir/index.ts'
import type { string } from '../attrs.ts'
import type { GradContext, Gradients } from '../gradient.ts'
import { knownElements, normalizeAxes } from '../shared/dims.ts'
import { alongAxis } from './along-axis.ts'

type PadContext = GradContext<{ mode: ReturnType<typeof string> }>

/** Negative pads crop, so the gradient is the same operator with pads negated. The fill gets what is left over. */
export function padGrad(cx: PadContext): Gradients {
  const { g } = cx
  const dy = cx.dy(0)
  if (!dy) return []
  if (cx.attrs.mode !== 'constant') return [mirrored(cx, dy)]
  const cropped = g.op('Pad', [dy, g.op('Neg', [cx.x(1)]), null, cx.node.inputs[3] ?? null])
  if (!cx.wanted(2)) return [cropped]
  const total = (v: Value) => g.op('ReduceSum', [v], { keepdims: attribute.int(0) })
  return [cropped, null, g.reshapeLike(g.sub(total(dy), total(cropped)), cx.x(2))]
}

/** Where element i of a padded axis of `size` elements comes from. */
const SOURCES: Readonly<Record<string, (i: number, size: number) => number>> = {
  edge: (i, size) => Math.min(Math.max(i, 0), size - 1),
  // There and back again, the ends once.
  reflect: (i, size) => {
    const period = Math.max(1, 2 * (size - 1))
    const at = ((i % period) + period) % period
    return at < size ? at : period - at
  },
  wrap: (i, size) => ((i % size) + size) % size,
}

/** Padding that copies elements is a linear map of each axis. */
function mirrored(cx: PadContext, dy: Value): Value {
  const source = SOURCES[cx.attrs.mode] ?? cx.unsupported(`mode "${cx.attrs.mode}"`)
  const x = cx.input(0)?.shape
  const pads = knownElements(cx, 1)
  if (!x || !pads) return cx.open('pads and rank')
  const given = cx.node.inputs[3] ? (knownElements(cx, 3) ?? cx.open('axes')) : undefined
  const axes = given ? normalizeAxes(cx, given, x.length) : [...x.keys()]
  return axes.reduce((part, axis, i) => {
    const [begin, end, from] = [pads[i] ?? 0, pads[i + axes.length] ?? 0, x[axis]]
    if (begin === 0 && end === 0) return part
    if (typeof from !== 'number') return cx.open(`axis ${axis}`)
    const to = from + begin + end
    const matrix = new Float64Array(to * from)
    for (let o = 0; o < to; o++) matrix[o * from + source(o - begin, from)] = 1
    return alongAxis(cx, part, axis, matrix, [to, from])
  }, dy)
}
